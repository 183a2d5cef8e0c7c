"""Derives the role and the owner of each pointer from its type and its neighbours.

bindings/abi/README.md states the rules. The constness of a handle's pointer plays no part in them.
That of bytes and structures does, because it tells inputs from outputs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from header import Function, Header, HeaderError, Struct, TypeData, Variable

#: What the rules say of one parameter, field or return value.
Role = dict[str, Any]

ERROR = "coreproc_error"

#: Types whose callbacks, and whose `destroy`, always run on a thread of their own.
CALLBACKS_ON_OWN_THREAD = frozenset({"coreproc_subscription"})

#: Functions that take a handle with callbacks, but never run its `destroy`: they only read or set
#: a value, or count a reference.
NEVER_CALL_BACK = frozenset(
    {
        "coreproc_daemon_health_address",
        "coreproc_daemon_ready",
        "coreproc_daemon_ref",
        "coreproc_daemon_set_ready",
        "coreproc_health_address",
        "coreproc_health_ready",
        "coreproc_health_ref",
        "coreproc_health_set_ready",
    }
)


class Ownership:
    """The rules, for the functions of one header."""

    def __init__(self, header: Header) -> None:
        """Looks through the header once for what several functions tell together."""
        self._functions = {function.name: function for function in header.functions}
        self._check_tables(header)
        self._destroys = {
            callback.name for callback in header.callbacks if len(callback.parameters) == 1
        }
        self._keepers = self._types_that_keep_callbacks()

    def _check_tables(self, header: Header) -> None:
        known = self._functions.keys() | {opaque.name for opaque in header.opaque}
        unknown = (CALLBACKS_ON_OWN_THREAD | NEVER_CALL_BACK) - known
        if unknown:
            raise HeaderError(f"tools/abi/ownership.py names unknown functions: {sorted(unknown)}")

    def free_of(self, opaque: str) -> str | None:
        """The function that frees a type; None for a type that the caller never owns."""
        return self._existing(f"{opaque}_free")

    def ref_of(self, opaque: str) -> str | None:
        """The function that gives another reference; None for a type that is not counted."""
        return self._existing(f"{opaque}_ref")

    def _existing(self, function: str) -> str | None:
        return function if function in self._functions else None

    def parameters(self, function: Function) -> list[Role]:
        """The role of each parameter."""
        return self._roles(function.name, function.parameters)

    def fields(self, struct: Struct) -> list[Role]:
        """The role of each field."""
        return self._roles(struct.name, struct.fields)

    def _roles(self, place: str, variables: list[Variable]) -> list[Role]:
        roles: list[Role] = []
        for position, variable in enumerate(variables):
            before = list(zip(variables, roles, strict=False))
            role = _companion(variable, before)
            roles.append(role or self._role(place, variable, variables[position + 1 :]))
        return roles

    def _role(self, place: str, variable: Variable, following: list[Variable]) -> Role:
        data = variable.type
        if data["kind"] == "callback":
            return self._callback(data["name"], following)
        if data["kind"] != "pointer":
            return {"role": "value"}
        target = data["to"]
        if target["kind"] == "void":
            # A callback gets back what its function kept.
            kept = place in self._functions
            return {"role": "user_data"} | ({"ownership": "kept"} if kept else {})
        if target["kind"] == "opaque":
            consumed = place == self.free_of(target["name"])
            return {"role": "handle", "ownership": "consumed" if consumed else "borrowed"}
        if target["kind"] == "pointer" and target["to"]["kind"] == "opaque":
            if data["const"]:
                return _handles(place, following)
            return self._out_handle(place, target["to"]["name"])
        if target["kind"] == "struct":
            return _struct(data, following)
        if target["kind"] == "integer":
            return _bytes_or_value(data, following)
        raise HeaderError(f"{place}: no rule says what {variable.c_type} {variable.name} is")

    def _callback(self, name: str, following: list[Variable]) -> Role:
        if name in self._destroys:
            return {"role": "destroy", "ownership": "kept"}
        role = {"role": "callback", "ownership": "kept"}
        for variable in following:
            if variable.type.get("name") in self._destroys:
                role["destroy"] = variable.name
            elif _is_pointer_to(variable.type, "void"):
                role["user_data"] = variable.name
        return role

    def _out_handle(self, place: str, opaque: str) -> Role:
        free = self.free_of(opaque)
        if free is None:
            raise HeaderError(f"{place}: gives a {opaque}, which nothing frees")
        role = "error" if opaque == ERROR else "handle"
        return {"role": role, "direction": "out", "ownership": "caller", "freed_by": free}

    def returned(self, function: Function) -> Role:
        """The role of what a function returns."""
        data = function.returns.type
        if data["kind"] == "void":
            return {"role": "none"}
        if data["kind"] != "pointer":
            return {"role": "result" if is_fallible(function) else "value"}
        target = data["to"]
        if target["kind"] == "opaque":
            if function.name != self.ref_of(target["name"]):
                raise HeaderError(f"{function.name}: no rule says whose the handle is")
            free = self.free_of(target["name"])
            return {"role": "handle", "ownership": "caller", "freed_by": free}
        role: Role = {"role": "array" if target["kind"] == "struct" else "bytes"}
        if target.get("name") == "char":
            role = {"role": "text"}
        owners = [p.name for p in function.parameters if _is_pointer_to(p.type, "opaque")]
        owner = {"ownership": "borrowed", "of": owners[0]} if owners else {"ownership": "static"}
        return role | owner | _counts(function.parameters)

    def may_call_back(self, function: Function) -> bool:
        """Whether a callback or a `destroy` may run on the caller's thread, before it returns."""
        if any(parameter.type["kind"] == "callback" for parameter in function.parameters):
            return True
        handles = {
            parameter.type["to"]["name"]
            for parameter in function.parameters
            if _is_pointer_to(parameter.type, "opaque")
        }
        return bool(handles & self._keepers) and function.name not in NEVER_CALL_BACK

    def _types_that_keep_callbacks(self) -> set[str]:
        """A callback belongs to the handle that its function makes, else to the one it is given."""
        keepers = set()
        for function in self._functions.values():
            types = [parameter.type for parameter in function.parameters]
            if any(data["kind"] == "callback" for data in types):
                made = [data["to"]["to"]["name"] for data in types if _is_handle_output(data)]
                given = [data["to"]["name"] for data in types if _is_pointer_to(data, "opaque")]
                keepers.add((made + given)[0])
        return keepers - CALLBACKS_ON_OWN_THREAD


def is_fallible(function: Function) -> bool:
    """Whether the last parameter takes an error."""
    return any(_names_error(parameter.type) for parameter in function.parameters[-1:])


def _names_error(data: TypeData) -> bool:
    return bool(_is_pointer_to(data, "pointer") and data["to"]["to"].get("name") == ERROR)


def _is_handle_output(data: TypeData) -> bool:
    return (
        data["kind"] == "pointer"
        and not data["const"]
        and _is_pointer_to(data["to"], "opaque")
        and not _names_error(data)
    )


def _is_pointer_to(data: TypeData, kind: str) -> bool:
    return bool(data["kind"] == "pointer" and data["to"]["kind"] == kind)


def _companion(variable: Variable, before: list[tuple[Variable, Role]]) -> Role | None:
    """The role of a number that belongs to a pointer before it."""
    for other, role in before:
        for part in ("length", "count", "stride"):
            if role.get(part) == variable.name:
                return {"role": part, "of": other.name}
    return None


def _struct(data: TypeData, following: list[Variable]) -> Role:
    if not data["const"]:
        return {"role": "struct", "direction": "inout"}
    counts = _counts(following)
    return {"role": "array" if counts else "struct", "ownership": "borrowed"} | counts


def _handles(place: str, following: list[Variable]) -> Role:
    if following and following[0].type.get("name") == "size_t":
        return {"role": "array", "ownership": "borrowed", "length": following[0].name}
    raise HeaderError(f"{place}: handles without a length")


def _counts(variables: Iterable[Variable]) -> Role:
    """The number of elements, and the bytes from one to the next."""
    names = {variable.name for variable in variables}
    return {"count": "count", "stride": "stride"} if {"count", "stride"} <= names else {}


def _bytes_or_value(data: TypeData, following: list[Variable]) -> Role:
    is_byte = data["to"]["name"] in ("char", "uint8_t")
    if is_byte and following and following[0].type.get("name") == "size_t":
        role = {"role": "bytes", "ownership": "borrowed", "length": following[0].name}
        return role if data["const"] else role | {"direction": "out"}
    if data["const"] and following and following[0].type.get("name") == "size_t":
        return {"role": "array", "ownership": "borrowed", "length": following[0].name}
    if data["const"] or is_byte:
        raise HeaderError(f"a pointer to {data['to']['name']} without a length")
    return {"role": "value", "direction": "out"}
