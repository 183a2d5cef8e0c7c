"""The description of the ABI, as bindings/abi/README.md defines it."""

from __future__ import annotations

import json
from typing import Any

from header import Function, Header, HeaderError, Struct, Variable
from ownership import Ownership, Role, is_fallible

#: Raised by a change after which a reader of the older format would go wrong.
FORMAT_VERSION = 1

#: What `bindings/abi/coreproc.json` holds.
Description = dict[str, Any]

#: Groups of constants that belong together, by what their names begin with.
PREFIXES = {
    "COREPROC_CAUSE_": "cause",
    "COREPROC_CLOSE_": "close",
    "COREPROC_CONTAIN_": "contain",
    "COREPROC_DELIVERY_": "delivery",
    "COREPROC_DESCRIPTOR_": "descriptor",
    "COREPROC_PTY_": "pty",
    "COREPROC_ENDPOINT_": "endpoint",
    "COREPROC_EVENT_": "event",
    "COREPROC_FILE_": "file",
    "COREPROC_FLAG_": "flag",
    "COREPROC_GROUP_": "group",
    "COREPROC_DOING_": "doing",
    "COREPROC_AWAITS_": "awaits",
    "COREPROC_IO_": "io",
    "COREPROC_LIFECYCLE_": "lifecycle",
    "COREPROC_PID_": "pid",
    "COREPROC_PROGRESS_OUTPUT_": "progress_output",
    "COREPROC_PROGRESS_STYLE_": "progress_style",
    "COREPROC_REPORT_": "report",
    "COREPROC_RUN_": "run",
    "COREPROC_RUNG_": "rung",
    "COREPROC_SCOPE_": "scope",
    "COREPROC_SPEC_": "spec",
    "COREPROC_STATE_": "state",
    "COREPROC_STDIO_": "stdio",
    "COREPROC_STREAM_": "stream",
    "COREPROC_SUBSCRIBE_": "subscribe",
    "COREPROC_OVERFLOW_": "overflow",
    "COREPROC_LOG_": "log",
    "COREPROC_ENCODING_": "encoding",
}

#: Constants that belong to a group without sharing a prefix; negative numbers are results, too.
MEMBERS = {
    "COREPROC_OK": "result",
    "COREPROC_KEEP_GOING": "on_failure",
    "COREPROC_FAIL_FAST": "on_failure",
}


def describe(header: Header) -> Description:
    """All that the header declares, sorted by name."""
    ownership = Ownership(header)
    values = {constant.name: constant.value for constant in header.constants}
    description = {
        "generated": "By tools/abi from include/coreproc.h; do not edit. `make bless` rewrites it.",
        "format_version": FORMAT_VERSION,
        "library_version": values["COREPROC_VERSION"],
        "abi_version": values["COREPROC_ABI_VERSION"],
        "documentation": header.documentation,
        "integers": [
            {"name": name, "bits": bits, "signed": signed}
            for name, (bits, signed) in sorted(header.integers.items())
        ],
        "constants": _constants(values, header),
        "aliases": [
            {"name": alias.name, "type": alias.type, "documentation": alias.documentation}
            for alias in header.aliases
        ],
        "opaque_types": [
            {
                "name": opaque.name,
                "freed_by": ownership.free_of(opaque.name),
                "referenced_by": ownership.ref_of(opaque.name),
                "documentation": opaque.documentation,
            }
            for opaque in header.opaque
        ],
        "structs": [_struct(struct, ownership) for struct in header.structs],
        "callbacks": [_function(callback, ownership) for callback in header.callbacks],
        "functions": [
            _function(function, ownership)
            | {
                "fallible": is_fallible(function),
                "may_call_back": ownership.may_call_back(function),
            }
            for function in header.functions
        ],
    }
    for declarations in description.values():
        if isinstance(declarations, list):
            declarations.sort(key=lambda declaration: declaration["name"])
    return description


def _constants(values: dict[str, int | str], header: Header) -> list[dict[str, Any]]:
    unknown = MEMBERS.keys() - values.keys()
    unused = [prefix for prefix in PREFIXES if not any(name.startswith(prefix) for name in values)]
    if unknown or unused:
        raise HeaderError(f"tools/abi/description.py names no constants: {unknown or unused}")
    return [
        {
            "name": constant.name,
            "value": constant.value,
            "group": _group(constant.name, constant.value),
            "documentation": constant.documentation,
        }
        for constant in header.constants
    ]


def _group(name: str, value: int | str) -> str | None:
    if isinstance(value, int) and value < 0:
        return "result"
    prefixed = (group for prefix, group in PREFIXES.items() if name.startswith(prefix))
    return MEMBERS.get(name) or next(prefixed, None)


def _struct(struct: Struct, ownership: Ownership) -> dict[str, Any]:
    roles = ownership.fields(struct)
    return {
        "name": struct.name,
        "size": struct.size,
        "alignment": struct.alignment,
        "documentation": struct.documentation,
        "fields": [
            {"offset": field.offset}
            | _variable(field, role)
            | {"documentation": field.documentation}
            for field, role in zip(struct.fields, roles, strict=True)
        ],
    }


def _function(function: Function, ownership: Ownership) -> dict[str, Any]:
    roles = ownership.parameters(function)
    returned = ownership.returned(function)
    return {
        "name": function.name,
        "documentation": function.documentation,
        "parameters": [
            _variable(parameter, {"direction": "in"} | role)
            for parameter, role in zip(function.parameters, roles, strict=True)
        ],
        "returns": {"c_type": function.returns.c_type, "type": function.returns.type} | returned,
    }


def _variable(variable: Variable, role: Role) -> dict[str, Any]:
    return {"name": variable.name, "c_type": variable.c_type, "type": variable.type} | role


def to_json(description: Description) -> str:
    """One line for each parameter, field and constant, so that changes are seen line by line."""
    return _json(description, "") + "\n"


def _json(value: object, indent: str) -> str:
    deeper = indent + " "
    if isinstance(value, list) and value:
        parts = [_json(part, deeper) for part in value]
        brackets = "[]"
    elif isinstance(value, dict) and any(isinstance(part, list) for part in value.values()):
        parts = [f"{json.dumps(key)}: {_json(part, deeper)}" for key, part in value.items()]
        brackets = "{}"
    else:
        return json.dumps(value, ensure_ascii=False)
    lines = ",\n".join(deeper + part for part in parts)
    return f"{brackets[0]}\n{lines}\n{indent}{brackets[1]}"
