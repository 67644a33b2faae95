"""Print what travels on the bus: every subject and event, for services in any language."""

import argparse

HELP = "print every subject and event as AsyncAPI or JSON Schema"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=("asyncapi", "json-schema"), default="asyncapi")
    parser.add_argument("--yaml", action="store_true", help="YAML instead of JSON")


def run(args: argparse.Namespace) -> int:
    import msgspec

    from orchestrator.version import VERSION
    from schemas.asyncapi import asyncapi_document
    from schemas.jsonschema import json_schema_document

    document = asyncapi_document(VERSION) if args.format == "asyncapi" else json_schema_document()
    if args.yaml:
        import msgspec.yaml

        print(msgspec.yaml.encode(document).decode(), end="")
    else:
        print(msgspec.json.format(msgspec.json.encode(document)).decode())
    return 0
