"""Nobody adds to the headers of a message."""

from __future__ import annotations

from email import message_from_bytes, policy

import pytest

from strongback.mail import Mail, mask_address

HOSTILE = [
    "Tea\r\nBcc: eve@example.org",
    "Tea\nBcc: eve@example.org\n\nAnother body",
    "Tea\0\x0b\x0c\x1c\x85\u2028Bcc: eve@example.org",
    "\u202eaeT\u2066",
    "Tea " + "x" * 10_000,
    "茶" * 10_000,
    "Tea\ud800",
    "=?utf-8?q?Tea=0D=0ABcc=3A_eve=40example=2Eorg?=",
    "شاي \u200f مرحبا",
]


def parsed(mail: Mail, sender: str = "no-reply@example.org"):
    raw = mail.encoded(sender).as_bytes()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    return message_from_bytes(raw, policy=policy.default)


@pytest.mark.parametrize("text", HOSTILE)
def test_subject_is_one_header(text):
    message = parsed(Mail("ada@example.org", text, "Leaves.\n"))
    assert message["Bcc"] is None
    assert message["To"] == "ada@example.org"
    assert len(message["Subject"]) <= 150
    assert not {"\u202e", "\u2066", "\0", "\n"} & set(message["Subject"])


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_can_be_written(text):
    message = parsed(Mail("ada@example.org", "Tea", text, f"<p>{text}</p>"))
    assert message["Bcc"] is None
    assert [part.get_content_type() for part in message.walk()][1:] == ["text/plain", "text/html"]


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ada",
        "@example.org",
        "ada@",
        "ada@example..org",
        "ada@example.org\r\nBcc: eve@example.org",
        "ada@example.org\0",
        "ada@example.org, eve@example.org",
        "ada@example.org;eve@example.org",
        "Ada <ada@example.org>",
        "ada @example.org",
        "\u202eada@example.org",
        "a" * 300 + "@example.org",
        '"a\r\nb"@example.org',
    ],
)
def test_recipient_is_one_address_and_nothing_else(address):
    with pytest.raises(ValueError, match="is no mail address"):
        Mail(address, "Tea", "Leaves.\n")


@pytest.mark.parametrize(
    "address", ["ada@example.org", "o'hara+tea@example.org", "阿达@例子.example"]
)
def test_recipient_may_be_any_address(address):
    assert Mail(address, "Tea", "Leaves.\n").to == address


def test_further_header_is_one_header():
    mail = Mail("ada@example.org", "Tea", "Leaves.\n", headers={"X-Kind": "a\r\nBcc: eve"})
    with pytest.raises(ValueError, match="linefeed"):
        mail.encoded("no-reply@example.org")


def test_long_link_stays_as_it_is_in_a_header():
    link = f"<https://shop.example.org/api/off?token={'aB_-9.' * 60}>"
    mail = Mail("ada@example.org", "Tea", "Leaves.\n", headers={"List-Unsubscribe": link})
    assert f"List-Unsubscribe: {link}\r\n".encode() in mail.encoded("a@example.org").as_bytes()


def test_sender_may_have_a_name_in_any_script():
    assert parsed(Mail("ada@example.org", "Tea", "Leaves.\n"), "商店 <a@example.org>")["From"] == (
        "商店 <a@example.org>"
    )


def test_log_shows_the_beginning_and_the_domain():
    assert mask_address("ada@example.org") == "a***@example.org"
