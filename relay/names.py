"""Names as they may be shown: cleaned once, by one rule, at the edge.

The same cleaned string goes to the vendor, the feed and the correlation (facts.md H8), so nobody cleans twice.
"""

from __future__ import annotations

import re
import unicodedata

NAME_LENGTH_MAX = 64  # code points after cleaning
MARKS_IN_A_ROW_MAX = 4  # combining marks on one letter; more is decoration that climbs over the lines above

# Letters or marks by category, invisible all the same: grapheme joiner, Hangul fillers, Khmer inherent vowels, Braille
# blank.
INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
SURROGATES = re.compile("[\ud800-\udfff]")


def clean_name(raw: str) -> str:
    """The name as it may be shown, or `""` when nothing is left.

    NFC; lone surrogates become U+FFFD (they cannot be encoded); controls, bidi and zero-width characters go; white
    space of any kind becomes one space; at most `NAME_LENGTH_MAX` code points. HTML stays what it is: text.
    """
    if len(raw) <= NAME_LENGTH_MAX and raw.isascii() and raw.isprintable() and " " not in raw:
        return raw
    # A 10 kB name is cut before the expensive part; NFC never makes more than three code points of one.
    text = unicodedata.normalize("NFC", SURROGATES.sub("\ufffd", raw[: NAME_LENGTH_MAX * 16]))
    kept: list[str] = []
    marks = 0
    for char in text:
        category = unicodedata.category(char)
        if char.isspace():
            char = " "
            if not kept or kept[-1] == " ":
                continue
        elif category in {"Cc", "Cf", "Cs", "Co", "Cn"} or char in INVISIBLE:
            continue
        if category.startswith("M"):
            marks += 1
            if not kept or marks > MARKS_IN_A_ROW_MAX:
                continue
        else:
            marks = 0
        kept.append(char)
    # What stood apart may have come together: NFC again, so that a cleaned name stays what it is when cleaned again.
    return unicodedata.normalize("NFC", "".join(kept))[:NAME_LENGTH_MAX].strip()
