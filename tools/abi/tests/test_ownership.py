"""Roles and owners, by the rules that bindings/abi/README.md states."""

import pytest

import description
from header import HeaderError
from ownership import Ownership

VERSION = '#define COREPROC_VERSION "1"\n#define COREPROC_ABI_VERSION 1\n'


@pytest.fixture
def roles(read):
    """The roles of the parameters of a function that is declared like this."""

    def roles(declaration):
        small = read(declaration)
        found = Ownership(small).parameters(small.functions[-1])
        return [(role["role"], role.get("ownership")) for role in found]

    return roles


@pytest.fixture
def returned(read):
    """The role of what a function that is declared like this returns."""

    def returned(declaration):
        small = read(declaration)
        return Ownership(small).returned(small.functions[-1])

    return returned


@pytest.mark.parametrize("constant", ["", "const "])
def test_a_handle_is_borrowed_whether_it_is_const_or_not(roles, constant):
    assert roles(f"int32_t coreproc_thing_id({constant}coreproc_thing *thing);") == [
        ("handle", "borrowed")
    ]


def test_a_free_function_consumes_its_handle(abi):
    frees = [each for each in abi["functions"] if each["name"].endswith("_free")]
    assert len(frees) == len([each for each in abi["opaque_types"] if each["freed_by"]])
    for free in frees:
        (parameter,) = free["parameters"]
        assert (parameter["role"], parameter["ownership"]) == ("handle", "consumed")


def test_a_pointer_to_a_handle_is_an_output_that_the_caller_frees(read):
    small = read("void coreproc_thing_new(coreproc_thing **out, coreproc_error **err);")
    assert Ownership(small).parameters(small.functions[-1]) == [
        {
            "role": "handle",
            "direction": "out",
            "ownership": "caller",
            "freed_by": "coreproc_thing_free",
        },
        {
            "role": "error",
            "direction": "out",
            "ownership": "caller",
            "freed_by": "coreproc_error_free",
        },
    ]


def test_an_output_that_nothing_frees_is_refused(roles):
    with pytest.raises(HeaderError, match="which nothing frees"):
        roles("typedef struct coreproc_x coreproc_x; void coreproc_x_new(coreproc_x **out);")


@pytest.mark.parametrize("byte", ["char", "uint8_t"])
def test_bytes_are_a_pointer_and_a_length(roles, byte):
    assert roles(f"void coreproc_say(const {byte} *text, size_t text_len, size_t other);") == [
        ("bytes", "borrowed"),
        ("length", None),
        ("value", None),
    ]


def test_a_pointer_to_a_byte_without_a_length_is_refused(roles):
    with pytest.raises(HeaderError, match="without a length"):
        roles("void coreproc_say(const char *text);")


def test_a_buffer_is_filled(read):
    small = read("void coreproc_copy(uint8_t *buffer, size_t size, size_t *out);")
    buffer, size, out = Ownership(small).parameters(small.functions[-1])
    assert (buffer["role"], buffer["direction"], buffer["length"]) == ("bytes", "out", "size")
    assert size == {"role": "length", "of": "buffer"}
    assert out == {"role": "value", "direction": "out"}


def test_a_const_structure_is_an_input_and_another_is_filled(roles, read):
    struct = "typedef struct coreproc_s { uint32_t struct_size; } coreproc_s;"
    assert roles(f"{struct} void coreproc_use(const coreproc_s *s);") == [("struct", "borrowed")]
    small = read(f"{struct} void coreproc_fill(coreproc_s *s);")
    assert Ownership(small).parameters(small.functions[-1]) == [
        {"role": "struct", "direction": "inout"}
    ]


CALLBACK = (
    "typedef void (*coreproc_run)(coreproc_thing *thing, void *user_data);"
    "typedef void (*coreproc_destroy)(void *user_data);"
    "void coreproc_listen(coreproc_thing *thing, coreproc_run run, void *data,"
    " coreproc_destroy end);"
)


def test_a_callback_names_its_data_and_its_destroy(read):
    small = read(CALLBACK)
    _, run, data, end = Ownership(small).parameters(small.functions[-1])
    assert run == {"role": "callback", "ownership": "kept", "user_data": "data", "destroy": "end"}
    assert data == {"role": "user_data", "ownership": "kept"}
    assert end == {"role": "destroy", "ownership": "kept"}


def test_a_function_may_call_back_if_it_takes_a_callback_or_its_keeper(read):
    small = read(f"{CALLBACK} int32_t coreproc_other(coreproc_error *error);")
    ownership = Ownership(small)
    answers = {each.name: ownership.may_call_back(each) for each in small.functions}
    assert answers == {
        "coreproc_error_free": False,
        "coreproc_thing_free": True,
        "coreproc_listen": True,
        "coreproc_other": False,
    }


def test_text_lives_as_long_as_the_handle_it_is_asked_of(returned):
    assert returned("const char *coreproc_thing_name(const coreproc_thing *thing);") == {
        "role": "text",
        "ownership": "borrowed",
        "of": "thing",
    }
    assert returned("const char *coreproc_name(int32_t number);")["ownership"] == "static"


def test_a_reference_belongs_to_the_caller(returned):
    assert returned("coreproc_thing *coreproc_thing_ref(coreproc_thing *thing);") == {
        "role": "handle",
        "ownership": "caller",
        "freed_by": "coreproc_thing_free",
    }


def test_another_handle_that_is_returned_is_refused(returned):
    with pytest.raises(HeaderError, match="whose the handle is"):
        returned("coreproc_thing *coreproc_thing_parent(coreproc_thing *thing);")


def test_tables_name_what_there_is_alone(read, monkeypatch):
    monkeypatch.setattr("ownership.NEVER_CALL_BACK", frozenset({"coreproc_gone"}))
    with pytest.raises(HeaderError, match="coreproc_gone"):
        Ownership(read(""))
    monkeypatch.setattr("ownership.NEVER_CALL_BACK", frozenset())
    with pytest.raises(HeaderError, match="COREPROC_FAIL_FAST"):
        description.describe(read(VERSION))


def test_a_comment_belongs_to_what_follows_on_the_next_line(read):
    small = read(
        "// Of nothing.\n\n"
        "// First,\n//\n// second.\nvoid coreproc_a(void);\nvoid coreproc_b(void);\n"
    )
    assert [each.documentation for each in small.functions[-2:]] == ["First,\n\nsecond.", ""]


def test_all_is_documented(abi):
    for kind in ("constants", "aliases", "opaque_types", "structs", "callbacks", "functions"):
        assert all(each["documentation"] for each in abi[kind]), kind
    assert all(field["documentation"] for each in abi["structs"] for field in each["fields"])


def test_what_is_not_described_is_refused(read):
    with pytest.raises(HeaderError, match="ENUM_DECL is not described"):
        read("enum coreproc_e { COREPROC_E };")
    with pytest.raises(HeaderError, match="is no literal"):
        read("#define COREPROC_SUM 1 + 1")
    with pytest.raises(HeaderError, match="unknown type name"):
        read("void coreproc_x(unknown_t *value);")
