"""Reads the C header: its declarations, as libclang parses them, each with the comment above it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clang.cindex import (
    Cursor,
    CursorKind,
    Diagnostic,
    Index,
    Token,
    TokenKind,
    TranslationUnit,
    Type,
    TypeKind,
)

#: A C type as data; bindings/abi/README.md describes it.
TypeData = dict[str, Any]

#: The layouts are those of 64-bit Linux, which has the same ones on every processor.
_ARGUMENTS = (
    "-xc",
    "-std=c11",
    "--target=x86_64-linux-gnu",
    "-nostdinc",
    f"-isystem{Path(__file__).parent / 'libc'}",
)


class HeaderError(Exception):
    """The header cannot be read, or declares something that has no place in the description."""


@dataclass(frozen=True)
class Constant:
    """A macro that is a number or a text."""

    name: str
    value: int | str
    documentation: str


@dataclass(frozen=True)
class Variable:
    """A parameter of a function, or a field of a structure."""

    name: str
    c_type: str
    type: TypeData
    documentation: str = ""
    #: In bytes from the start of the structure; 0 for parameters.
    offset: int = 0


@dataclass(frozen=True)
class Struct:
    """A structure whose fields the caller sees."""

    name: str
    size: int
    alignment: int
    fields: list[Variable]
    documentation: str


@dataclass(frozen=True)
class Opaque:
    """A type that the caller knows by pointers alone."""

    name: str
    documentation: str


@dataclass(frozen=True)
class Alias:
    """Another name of an integer type."""

    name: str
    type: TypeData
    documentation: str


@dataclass(frozen=True)
class Function:
    """A function, or a type of function pointers."""

    name: str
    parameters: list[Variable]
    returns: Variable
    documentation: str


@dataclass
class Header:
    """All that the header declares, in its order."""

    documentation: str
    integers: dict[str, tuple[int, bool]] = field(default_factory=dict)
    constants: list[Constant] = field(default_factory=list)
    aliases: list[Alias] = field(default_factory=list)
    opaque: list[Opaque] = field(default_factory=list)
    structs: list[Struct] = field(default_factory=list)
    callbacks: list[Function] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)


def read(path: Path) -> Header:
    """Parses the header at `path`."""
    unit = Index.create().parse(
        str(path),
        args=list(_ARGUMENTS),
        options=TranslationUnit.PARSE_DETAILED_PROCESSING_RECORD,
    )
    problems = [str(found) for found in unit.diagnostics if found.severity >= Diagnostic.Warning]
    if problems:
        raise HeaderError("\n".join(problems))
    return _Reader(_Comments(unit)).read(unit)


class _Comments:
    """The comments that stand on lines of their own."""

    def __init__(self, unit: TranslationUnit) -> None:
        self._lines: dict[int, str] = {}
        last_line = 0
        for token in unit.get_tokens(extent=unit.cursor.extent):
            line = token.location.line
            if token.kind is TokenKind.COMMENT and line != last_line:
                self._lines[line] = _comment_text(token)
            last_line = token.extent.end.line

    def above(self, line: int) -> str:
        """The comment that ends on the line above this one; empty if there is none."""
        first = line
        while first - 1 in self._lines:
            first -= 1
        return "\n".join(self._lines[number] for number in range(first, line)).strip()

    def first(self) -> str:
        """The comment that the header begins with."""
        end = min(self._lines, default=0)
        while end in self._lines:
            end += 1
        return self.above(end)


def _comment_text(token: Token) -> str:
    spelling = str(token.spelling)
    if not spelling.startswith("//"):
        raise HeaderError(f"line {token.location.line}: only // comments are read")
    return spelling.lstrip("/").removeprefix(" ").rstrip()


_NO_DECLARATIONS = (CursorKind.INCLUSION_DIRECTIVE, CursorKind.MACRO_INSTANTIATION)

#: A plain char is signed here; bindings take it for a byte of text.
_SIGNED = (TypeKind.CHAR_S, TypeKind.SCHAR, TypeKind.SHORT, TypeKind.INT, TypeKind.LONG)
_UNSIGNED = (TypeKind.UCHAR, TypeKind.USHORT, TypeKind.UINT, TypeKind.ULONG)


class _Reader:
    def __init__(self, comments: _Comments) -> None:
        self._comments = comments
        self._header = Header(documentation=comments.first())

    def read(self, unit: TranslationUnit) -> Header:
        for cursor in unit.cursor.get_children():
            if cursor.location.file is None or cursor.location.file.name != unit.spelling:
                continue
            if cursor.kind is CursorKind.MACRO_DEFINITION:
                self._macro(cursor)
            elif cursor.kind is CursorKind.STRUCT_DECL:
                self._struct(cursor)
            elif cursor.kind is CursorKind.TYPEDEF_DECL:
                self._typedef(cursor)
            elif cursor.kind is CursorKind.FUNCTION_DECL:
                self._header.functions.append(self._function(cursor, cursor.result_type))
            elif cursor.kind not in _NO_DECLARATIONS:
                raise HeaderError(f"{_place(cursor)}: {cursor.kind} is not described")
        return self._header

    def _documentation(self, cursor: Cursor) -> str:
        return self._comments.above(cursor.extent.start.line)

    def _macro(self, cursor: Cursor) -> None:
        tokens = [token.spelling for token in cursor.get_tokens()][1:]
        if not tokens:
            return  # The include guard.
        documentation = self._documentation(cursor)
        if not documentation and self._header.constants:
            # Macros in a row share the comment above the first.
            documentation = self._header.constants[-1].documentation
        value = _literal(cursor, tokens)
        self._header.constants.append(Constant(cursor.spelling, value, documentation))

    def _struct(self, cursor: Cursor) -> None:
        documentation = self._documentation(cursor)
        if not cursor.is_definition():
            if cursor.get_definition() is None:
                self._header.opaque.append(Opaque(cursor.spelling, documentation))
            return
        fields = [
            self._variable(member, offset=member.get_field_offsetof() // 8)
            for member in cursor.get_children()
            if member.kind is CursorKind.FIELD_DECL
        ]
        size, alignment = cursor.type.get_size(), cursor.type.get_align()
        self._header.structs.append(Struct(cursor.spelling, size, alignment, fields, documentation))

    def _typedef(self, cursor: Cursor) -> None:
        underlying = cursor.underlying_typedef_type
        canonical = underlying.get_canonical()
        if canonical.kind is TypeKind.RECORD:
            return  # The struct itself tells.
        if canonical.kind is TypeKind.POINTER:
            returned = underlying.get_pointee().get_result()
            self._header.callbacks.append(self._function(cursor, returned))
        else:
            data, documentation = self._type(underlying), self._documentation(cursor)
            self._header.aliases.append(Alias(cursor.spelling, data, documentation))

    def _function(self, cursor: Cursor, returned: Type) -> Function:
        parameters = [
            self._variable(child)
            for child in cursor.get_children()
            if child.kind is CursorKind.PARM_DECL
        ]
        returns = Variable("", returned.spelling, self._type(returned))
        return Function(cursor.spelling, parameters, returns, self._documentation(cursor))

    def _variable(self, cursor: Cursor, offset: int = 0) -> Variable:
        documentation = self._documentation(cursor) if cursor.kind is CursorKind.FIELD_DECL else ""
        c_type = cursor.type.spelling
        return Variable(cursor.spelling, c_type, self._type(cursor.type), documentation, offset)

    def _type(self, given: Type) -> TypeData:
        if given.kind is TypeKind.ELABORATED:
            given = given.get_named_type()
        if given.kind is TypeKind.VOID:
            return {"kind": "void"}
        if given.kind is TypeKind.POINTER:
            pointee = given.get_pointee()
            constant = pointee.is_const_qualified()
            return {"kind": "pointer", "const": constant, "to": self._type(pointee)}
        declaration = given.get_declaration()
        if given.kind is TypeKind.RECORD:
            kind = "opaque" if declaration.get_definition() is None else "struct"
            return {"kind": kind, "name": declaration.spelling}
        canonical = given.get_canonical()
        if canonical.kind is TypeKind.RECORD:
            return self._type(canonical)
        if canonical.kind is TypeKind.POINTER:
            return {"kind": "callback", "name": declaration.spelling}
        if any(alias.name == declaration.spelling for alias in self._header.aliases):
            return {"kind": "alias", "name": declaration.spelling}
        return {"kind": "integer", "name": self._integer(given, canonical)}

    def _integer(self, given: Type, canonical: Type) -> str:
        name = str(given.spelling).removeprefix("const ")
        if canonical.kind not in (*_SIGNED, *_UNSIGNED):
            raise HeaderError(f"type {name} is not described")
        self._header.integers[name] = (8 * canonical.get_size(), canonical.kind in _SIGNED)
        return name


def _literal(cursor: Cursor, tokens: list[str]) -> int | str:
    """The value of a macro that is one literal, with a sign and brackets around it or without."""
    text = "".join(token for token in tokens if token not in "()")
    try:
        return str(json.loads(text)) if text.startswith('"') else int(text.rstrip("uUlL"), 0)
    except ValueError:
        raise HeaderError(f"{_place(cursor)}: {cursor.spelling} is no literal") from None


def _place(cursor: Cursor) -> str:
    return f"{cursor.location.file}:{cursor.location.line}"
