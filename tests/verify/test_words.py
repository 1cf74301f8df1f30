"""Numbers, ordinals and times are spelled one way; everything else stays what it was."""

import pytest

from homeedit.verify.words import same, words


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("The Drawer, under the STOVE!", "the drawer under the stove"),
        ("Oma\u2019s cat isn't here", "oma's cat isn't here"),
        ("twenty-five and thirty", "25 and 30"),
        ("seventeen, zero, two hundred", "17 0 200"),
        ("the twenty-first of May", "the 21st of may"),
        ("first second third fourth eleventh twelfth thirteenth thirtieth", "1st 2nd 3rd 4th 11th 12th 13th 30th"),
        ("the 3rd Friday", "the 3rd friday"),
        ("2,500 euros; 1,2 and 12,34", "2500 euros 1 2 and 12 34"),
        ("3.5 litres, version 2.", "3.5 litres version 2"),
        ("half past seven", "7:30"),
        ("quarter past six", "6:15"),
        ("a quarter to one", "a 12:45"),
        ("twenty-five minutes to twelve", "11:35"),
        ("ten past 3", "3:10"),
        ("half to nine", "half to 9"),
        ("from 5 to 6", "from 5 to 6"),
        ("open ten to six, from 19:30 to 8 pm", "open 10 to 6 from 7:30pm to 8:00pm"),
        ("ten to fifteen people", "10 to 15 people"),
        ("six o'clock", "6:00"),
        ("7 pm, 7pm, 7 p.m., 7:00 PM", "7:00pm 7:00pm 7:00pm 7:00pm"),
        ("7.30 pm", "7:30pm"),
        ("18:00 and 07:05 and 00:10", "6:00pm and 7:05 and 12:10am"),
        ("six in the evening", "6:00pm"),
        ("9:15 in the morning", "9:15am"),
        ("eleven at night", "11:00pm"),
        ("60 in the evening", "60 in the evening"),
        ("25:99", "25:99"),
        ("60°C, 5km", "60 c 5 km"),
        ("flat 12a, AB12-CD34, wpa2", "flat 12a ab12 cd34 wpa2"),
        ("0042", "0042"),
        ("Zoë in Åland; 日本", "zoë in åland 日本"),
        ("\uff11\uff12", "12"),
        ("", ""),
        ("... --- !!!", ""),
    ],
)
def test_words(text: str, wanted: str) -> None:
    assert words(text) == wanted.split()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("battery", "batteries"),
        ("cookie", "cookies"),
        ("box", "boxes"),
        ("tomato", "tomatoes"),
        ("evening", "evenings"),
        ("7", "7:00"),
        ("7:00", "7:00pm"),
        ("7", "7:00am"),
    ],
)
def test_same(one: str, other: str) -> None:
    assert same(one, other) and same(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("glass", "glas"),
        ("key", "monkey"),
        ("7", "7:30"),
        ("7:00am", "7:00pm"),
        ("13", "13:00"),
        ("12", "1"),
        ("007", "7"),
        ("gas", "ga"),
        ("pan", "pants"),
    ],
)
def test_not_the_same(one: str, other: str) -> None:
    assert not same(one, other) and not same(other, one)
