"""What fools a filter, and not the eye, is undone and counted; honest text of any script stays as it is."""
# ruff: noqa: RUF001 - look-alike letters are what is tested

import pytest

from feature_repo.deobfuscation import CONFUSABLE, deobfuscated


@pytest.mark.parametrize(
    ("text", "plain", "changed"),
    [
        ("via\u200bgra", "viagra", 1),
        ("v\u00adi\u00ada\u2060gra", "viagra", 3),
        ("\u202evia\u202cgra", "viagra", 2),
        ("vi\u200da\u200cgra", "viagra", 2),
        ("vi\U000e0041agra", "viagra", 1),
        ("v\u0456\u0430gra", "viagra", 2),
        ("p\u03b1yp\u03b1l", "paypal", 2),
        ("\u0420\u0430ypal", "Paypal", 2),
        ("ｆｒｅｅ", "free", 4),
        ("\U0001d42f\U0001d422\U0001d42b\U0001d42e\U0001d42c", "virus", 5),
        ("ⓕⓡⓔⓔ", "free", 4),
    ],
)
def test_hiding_is_undone_and_counted(text: str, plain: str, changed: int) -> None:
    """Invisible characters vanish, look-alikes and dressed letters become Latin, and each counts one."""
    assert deobfuscated(text) == (plain, changed)


@pytest.mark.parametrize(
    "text",
    [
        "plain ASCII text",
        "Привет, как дела? Скоро сорок.",
        "Ξέρεις πόσο κοστίζει αυτό;",
        "日本語のメール、한국어 메일、中文邮件",
        "می\u200cخواهم",  # Persian with the joiner it needs
        "Grüße, naïve café, œuvre, straße",
        "“Quotes” – dashes, €5 • bullets",
        "\u0421\u0421\u0421\u0420",  # all Cyrillic, though every letter looks Latin
        "USB-кабель и Wi-Fi",
        "iPhoneы",  # mixed, yet not Latin once folded: the last letter has no Latin twin
    ],
)
def test_honest_text_is_not_changed_by_folding(text: str) -> None:
    """Text of one script a word is left as it is, and nothing is counted."""
    plain = deobfuscated(text)
    assert plain.changed == 0
    assert plain.text.replace("\u200c", "") in (text.replace("\u200c", ""), plain.text)
    if "。" not in text and "、" not in text:
        assert plain.text == text.replace("\u200c", "")


def test_compatibility_forms_are_unified_without_counting() -> None:
    """NFKC unifies ligatures, non-breaking spaces and composed accents; that is no hiding."""
    assert deobfuscated("\ufb01sh\u00a0e\u0301 x²") == ("fish é x2", 0)


def test_a_byte_order_mark_is_no_hiding() -> None:
    """It opens many honest texts; inside one it hides."""
    assert deobfuscated("\ufeffhello €") == ("hello €", 0)
    assert deobfuscated("hel\ufefflo") == ("hello", 1)


def test_emoji_keep_their_meaning_without_counting() -> None:
    """Joiners and variation selectors of emoji are dropped and not counted."""
    assert deobfuscated("❤\ufe0f 👩\u200d💻") == ("❤ 👩💻", 0)


def test_every_look_alike_folds_inside_a_latin_word() -> None:
    """Each pair of the table works."""
    for letter, latin in CONFUSABLE.items():
        plain = deobfuscated(f"xx{letter}xx")
        assert plain.text.isascii(), letter
        assert plain == (f"xx{latin}xx", 1)


def test_combining_marks_are_normalised_in_bounded_runs() -> None:
    """NFKC sorts combining marks in quadratic time, so no run of them is longer than 64."""
    text = deobfuscated("a" + "\u0301\u0327" * 5000).text
    assert max(map(len, text.split())) <= 66
