"""Does a report conform to its schema? The part of JSON Schema that the schema uses."""

import json
from pathlib import Path

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/oracle-report.schema.json").read_text())
KINDS = {
    "object": dict,
    "array": list,
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
    "null": type(None),
}


def conforms(x, schema=SCHEMA):
    """Assert that plain data is what the schema says."""
    if "enum" in schema:
        assert x in schema["enum"]
    if "type" in schema:
        names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        assert any(isinstance(x, KINDS[n]) for n in names), (x, names)
        assert not (isinstance(x, bool) and "boolean" not in names)
    if isinstance(x, list):
        for item in x:
            conforms(item, schema["items"])
    if isinstance(x, dict):
        fields, others = schema.get("properties", {}), schema.get("additionalProperties", True)
        assert set(schema.get("required", ())) <= set(x)
        for key, item in x.items():
            if key in fields:
                conforms(item, fields[key])
            else:
                assert others, f"{key} is not in the schema"
                conforms(item, others)
