"""Data flow in Python: from where values come in, through functions and files, to where they do harm.

`analyse_project` parses with tree-sitter, so that syntax newer than the running Python's is understood, and never
imports or runs what it looks at. It is bounded in time and steps and says where it gave up.
"""

from agents.review.dataflow.analyse import analyse_project
from agents.review.dataflow.flows import Flow, FlowResult, Passed, told
from agents.review.dataflow.folders import Folders

__all__ = ["Flow", "FlowResult", "Folders", "Passed", "analyse_project", "told"]
