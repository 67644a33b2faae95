"""Reviewers that ask a model: which code they are shown, what they are asked, and what of the answer is believed."""
