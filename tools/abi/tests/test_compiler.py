"""What the description says is what the C compiler says, so that the parser cannot drift."""

import json
import subprocess

import pytest

from paths import HEADER


@pytest.fixture
def compiles(tmp_path):
    """Compiles statements about the header."""

    def compiles(lines):
        source = tmp_path / "facts.c"
        source.write_text("\n".join([f'#include "{HEADER}"', *lines]) + "\n")
        warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Wno-type-limits", "-Wno-unused", "-Werror"]
        command = ["cc", "-std=c11", *warnings, "-fsyntax-only", source]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    return compiles


def check(condition):
    return f"_Static_assert({condition}, {json.dumps(condition)});"


def test_a_false_statement_does_not_compile(compiles):
    with pytest.raises(AssertionError, match="static assertion failed"):
        compiles([check("COREPROC_ABI_VERSION == 4711")])


def test_values_of_constants(abi, compiles):
    numbers = {each["name"]: each["value"] for each in abi["constants"]}
    texts = {
        name: numbers.pop(name) for name, value in list(numbers.items()) if value is str(value)
    }
    compiles(
        [
            *(check(f"{name} == {value}{'u' * (value > 0)}") for name, value in numbers.items()),
            *(
                check(f"({name} < 0) == {int(value < 0)}")
                for name, value in numbers.items()
                if value
            ),
            *(f"const char text_{name}[] = {name};" for name in texts),
            *(check(f"sizeof {name} == {len(value) + 1}") for name, value in texts.items()),
        ]
    )
    assert list(texts) == ["COREPROC_VERSION"]


def test_every_macro_of_the_header_is_a_constant(abi):
    command = ["cc", "-E", "-dM", HEADER]
    macros = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    names = {line.split()[1] for line in macros.splitlines()}
    names = {name for name in names if name.startswith("COREPROC_")}
    assert names - {"COREPROC_H"} == {each["name"] for each in abi["constants"]}


def test_sizes_and_offsets_of_structures(abi, compiles):
    lines = []
    for struct in abi["structs"]:
        name, fields = struct["name"], struct["fields"]
        lines.append(check(f"sizeof({name}) == {struct['size']}"))
        lines.append(check(f"_Alignof({name}) == {struct['alignment']}"))
        for field in fields:
            lines.append(check(f"offsetof({name}, {field['name']}) == {field['offset']}"))
            a_field = f"(({name} *)0)->{field['name']}"
            lines.append(check(f"_Generic(&{a_field}, {pointer_to(field['c_type'])}: 1)"))
        # Each field begins where the one before it ends, so that none was missed.
        ends = [f"{field['offset']} + sizeof((({name} *)0)->{field['name']})" for field in fields]
        starts = [*(field["offset"] for field in fields[1:]), struct["size"]]
        lines += [check(f"{end} == {start}") for end, start in zip(ends, starts, strict=True)]
    compiles(lines)


def test_sizes_and_signs_of_integers(abi, compiles):
    lines = []
    for integer in abi["integers"]:
        lines.append(check(f"8 * sizeof({integer['name']}) == {integer['bits']}"))
        if integer["name"] != "char":  # Its sign is the processor's.
            lines.append(check(f"(({integer['name']})-1 < 0) == {int(integer['signed'])}"))
    compiles(lines)


def test_signatures_of_functions_and_callbacks(abi, compiles):
    lines = []
    for number, function in enumerate(abi["functions"]):
        parameters = ", ".join(each["c_type"] for each in function["parameters"]) or "void"
        returned = function["returns"]["c_type"]
        lines.append(f"{returned} (*const f{number})({parameters}) = {function['name']};")
    for number, callback in enumerate(abi["callbacks"]):
        parameters = ", ".join(each["c_type"] for each in callback["parameters"])
        returned = callback["returns"]["c_type"]
        lines.append(f"extern {returned} (*c{number})({parameters});")
        lines.append(f"extern {callback['name']} c{number};")
    compiles(lines)


def test_structured_types_spell_the_c_types(abi):
    for declaration in abi["functions"] + abi["callbacks"]:
        for variable in [*declaration["parameters"], declaration["returns"]]:
            assert spelled(variable["type"]) == variable["c_type"]
    for struct in abi["structs"]:
        for field in struct["fields"]:
            assert spelled(field["type"]) == field["c_type"]


def spelled(data):
    """A structured type as C writes it."""
    if data["kind"] == "pointer":
        to = spelled(data["to"])
        if data["const"]:
            # Of a pointer that is constant itself, the word follows the star.
            to = f"{to}const" if data["to"]["kind"] == "pointer" else f"const {to}"
        return pointer_to(to)
    if data["kind"] in ("struct", "opaque"):
        return f"struct {data['name']}"
    return data.get("name", "void")


def pointer_to(c_type):
    return f"{c_type}*" if c_type.endswith("*") else f"{c_type} *"
