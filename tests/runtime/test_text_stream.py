"""Bytes of tokens become text that may be shown."""

import random

import pytest

from homeedit.runtime.text_stream import TextStream


def streamed(pieces: list[bytes], stop: list[str] | None = None, *, strip: bool = True) -> tuple[list[str], bool]:
    stream = TextStream(stop or [], strip=strip)
    shown = [stream.feed(piece) for piece in pieces]
    return [*shown, stream.finish()], stream.stopped


def test_whole_characters_only() -> None:
    cat = "Käti 😀"
    shown, stopped = streamed([bytes([byte]) for byte in cat.encode()])
    assert "".join(shown) == cat and not stopped
    assert "\N{REPLACEMENT CHARACTER}" not in "".join(shown)
    assert shown[1] == "" and shown[2] == "ä"


def test_a_broken_character_is_replaced_at_the_end() -> None:
    assert streamed([b"key \xf0\x9f"])[0] == ["key", " \N{REPLACEMENT CHARACTER}"]
    assert streamed([b"\xff!"])[0] == ["\N{REPLACEMENT CHARACTER}!", ""]


def test_a_character_that_was_cut_off_is_left_out() -> None:
    for said, shown in ((b"key \xf0\x9f", "key"), (b"key\xc3", "key"), (b"\xff!\xe2\x82", "\ufffd!")):
        stream = TextStream()
        assert stream.feed(said) + stream.finish(cut=True) == shown


def test_white_space_at_the_ends_is_left_out_and_within_kept() -> None:
    shown, _ = streamed([b" ", b"\n the", b" ", b"key", b"\n\n", b" "])
    assert shown == ["", "the", "", " key", "", "", ""]
    shown, _ = streamed([b" the", b" key", b" "], strip=False)
    assert shown == [" the", " key", " ", ""]


def test_a_stop_string_is_never_shown_not_even_in_part() -> None:
    shown, stopped = streamed([b"under the pot", b".", b"\nUs", b"er", b": and", b" more"], ["\nUser:"])
    assert shown == ["under the pot", ".", "", "", "", "", ""] and stopped
    shown, stopped = streamed([b"a\nUs", b"age"], ["\nUser:"])
    assert "".join(shown) == "a\nUsage" and not stopped
    # What may still become a stop string at the end was none.
    assert "".join(streamed([b"a\nUse"], ["\nUser:"])[0]) == "a\nUse"


def test_the_first_stop_string_wins() -> None:
    shown, stopped = streamed([b"one two three"], ["three", "two"])
    assert "".join(shown) == "one" and stopped
    assert streamed([b"anything"], [""])[0] == ["anything", ""]


@pytest.mark.parametrize("seed", range(20))
def test_however_the_bytes_come_the_text_is_the_same(seed: int) -> None:
    chance = random.Random(seed)
    text = "".join(chance.choice("ab ä😀\n") for _ in range(60))
    stops = ["aba", "b\n\nb", "😀a"]
    data, pieces = text.encode(), []
    while data:
        size = chance.randint(1, 5)
        pieces.append(data[:size])
        data = data[size:]
    whole = text.lstrip()
    met = [at for stop in stops if (at := whole.find(stop)) >= 0]
    shown, stopped = streamed(pieces, stops)
    if not met:
        assert "".join(shown) == whole.rstrip() and not stopped
    else:
        # Of two stop strings that overlap, the one that is whole first is met.
        assert stopped and "".join(shown) in {whole[:at].rstrip() for at in met}
        assert not any(stop in "".join(shown) for stop in stops)
