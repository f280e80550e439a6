"""JSON as lines: each object as it stands in the array, whatever its strings hold, and where it begins."""

from __future__ import annotations

import json
import random

import pytest

from tasks.formats.json_elements import as_lines, elements, flat_lines, joined

PIECES = ["},{", '"', "\\", "{", "}", "a", "\n", ",", "[", "]", " ", '\\"', "}, {", "é", ":"]
"""What strings are made of, so that they look like the places between objects."""


@pytest.mark.parametrize("seed", range(8))
def test_the_lines_are_the_objects_of_the_array(seed: int) -> None:
    """Strings may hold whatever stands between objects, and objects may hold others; both ways say the same."""
    chance = random.Random(seed)
    were_flat = 0
    for _ in range(300):
        objects = [_an_object(chance) for _ in range(chance.randrange(1, 5))]
        spaces = chance.choice([(",", ":"), (", ", ": ")])
        indent = chance.choice([None, 1])
        text = json.dumps(objects, indent=indent, separators=spaces, ensure_ascii=chance.random() < 0.5)
        assert [json.loads(line) for line in joined(elements(text)).split(b"\n")] == objects
        flat = flat_lines(text.encode())
        were_flat += flat is not None
        assert flat is None or [json.loads(line) for line in flat.split(b"\n")] == objects
    assert were_flat


def _an_object(chance: random.Random) -> dict[str, object]:
    def text() -> str:
        return "".join(chance.choices(PIECES, k=chance.randrange(5)))

    values = [text(), text(), 7, [text()], {text(): text()}]
    return {text(): chance.choice(values) for _ in range(chance.randrange(1, 3))}


def test_each_element_has_the_line_where_it_begins() -> None:
    """As an editor counts them; one object is an array of one, and an array may be empty."""
    assert list(elements('\n[ {"a":\n1},\n\n{"b":2}, 3\n]\n')) == [(2, '{"a":\n1}'), (5, '{"b":2}'), (5, "3")]
    assert list(elements('\n {"a":1}\n')) == [(2, '{"a":1}')]
    assert list(elements(" [ ] ")) == []
    assert as_lines(b'{"a":\n1}') == b'{"a": 1}'
    assert as_lines(b"[]") == b""


@pytest.mark.parametrize(
    "text", [b'[{"a":1}', b'[{"a":1} {"a":2}]', b'[{"a":1},]', b'[{"a":1}]]', b'{"a":1}{}', b"[,]"]
)
def test_what_is_no_json_has_no_elements(text: bytes) -> None:
    """Nothing of it is passed over."""
    assert flat_lines(text) is None
    with pytest.raises(ValueError, match=r".+"):
        as_lines(text)


@pytest.mark.parametrize("text", [b'[{"a":"x\ny"}]', b'[{"a":"},\n{"}]', b'[{"a":"x},{"}]'])
def test_a_line_end_in_a_string_is_left_to_the_closer_look(text: bytes) -> None:
    """JSON has none, and a space in its place would hide it; what a string holds is no boundary either."""
    assert flat_lines(text) is None
