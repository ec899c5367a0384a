import pytest

from cplearn_solo.core.errors import InputError, unknown
from cplearn_solo.core.registry import Registry


def test_registers_once_and_explains_unknown_names():
    names = Registry("colour")
    names.register("red")(1)
    assert dict(names) == {"red": 1} and "red" in names and "blue" not in names
    with pytest.raises(ValueError, match="registered twice"):
        names.register("red")(2)
    with pytest.raises(KeyError) as error:
        names["rad"]
    assert str(error.value) == "unknown colour 'rad': did you mean 'red'? choices are red"
    assert isinstance(error.value, InputError)


def test_what_is_defined_again_takes_its_place():
    """As in a notebook, whose cells are run again."""
    methods = Registry("method")

    def define(*, name="Mine"):
        return methods.register("mine")(type(name, (), {"__module__": "__main__"}))

    define()
    assert define() is methods["mine"]
    with pytest.raises(ValueError, match="registered twice"):
        define(name="Other")


def test_a_long_list_of_choices_is_cut_to_the_closest():
    message = str(unknown("model", "vit_tny", [f"model{i}" for i in range(100)] + ["vit_tiny"]))
    assert "did you mean 'vit_tiny'" in message and "101 in all" in message and len(message) < 200
    names = [f"method_of_some_length_{i}" for i in range(12)]
    likely = str(unknown("method", "cplern", [*names, "cplearn"]))
    assert likely == "unknown method 'cplern': did you mean 'cplearn'? choices are cplearn, ... (13 in all)"
    assert str(unknown("method", "xyz", names)).endswith(f"choices are {', '.join(sorted(names))}")
