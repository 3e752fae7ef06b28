"""The grid of launch/ablations.py."""

import importlib.util
import pathlib

import pytest

FILE = pathlib.Path(__file__).parent.parent / "launch" / "ablations.py"


@pytest.fixture(scope="module")
def ablations():
    spec = importlib.util.spec_from_file_location("ablations", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_one_field_at_a_time(ablations):
    variants = ablations.variants(full=False)
    assert variants[0] == {} and variants[-1] == ablations.CONTROL
    assert all(len(changes) == 1 for changes in variants[1:])
    assert len(variants) == 2 + sum(len(values) - 1 for values in ablations.FIELDS.values())


def test_the_product_holds_each_combination_once(ablations):
    variants = ablations.variants(full=True)
    assert len({tuple(sorted(v.items())) for v in variants}) == len(variants) == 3 * 2 * 3 * 5 + 1
    assert all(v in variants for v in ablations.variants(full=False))


def test_each_run_differs_from_the_default_in_its_fields_alone(ablations):
    base = ablations.make_config({}, 0, "runs/fd/sft", 60)
    for changes in ablations.variants(full=True):
        config = ablations.make_config(changes, 0, "runs/fd/sft", 60)
        for field, value in changes.items():
            block, name = field.split(".")
            assert config[block][name] == value != base[block][name]
            config[block][name] = base[block][name]
        assert config.to_dict() == base.to_dict()
