"""The sender, against real receivers: order, independence, retries, dead letters, and what it keeps."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import update
from standardwebhooks import Webhook, WebhookVerificationError

from monitoring.alerts.event import Change
from monitoring.delivery.attempts import Sent, Wire
from monitoring.delivery.retries import LEAST_ATTEMPTS, LONGEST_WAIT
from monitoring.delivery.sender import UNCONFIGURED, send_due
from monitoring.settings import MonitoringSettings
from records.engine import Records
from records.repositories import deliveries
from records.tables import WebhookDelivery
from records.tables.monitoring_alerts import Severity
from tests.monitoring.delivery.events import SECRET, channel, event, opened, queued, resolved, settings
from tests.monitoring.delivery.receiver import OK, Received, Receiver, answer, running, saying
from tests.records.rows import after

HALF = Wire(draw=lambda: 0.5)
STORY = (Change.OPENED, Change.ACKNOWLEDGED, Change.RESOLVED)


async def send(
    records: Records, made: MonitoringSettings, seconds: float = 0, only: str | None = None
) -> Sent:
    """Runs one pass so many seconds after noon."""
    return await send_due(records, made, now=after(seconds), only=only, wire=HALF)


async def row(records: Records, delivery_id: UUID) -> WebhookDelivery:
    """Returns a message as it stands."""
    async with records.reading() as session:
        found = await deliveries.by_id(session, delivery_id)
    assert found is not None
    return found


def changes(receiver: Receiver) -> list[str]:
    """Returns the changes that a webhook was told of, in the order in which they came."""
    return [request.document["change"] for request in receiver.received]


async def test_a_change_is_delivered_once(memory: Records, receiver: Receiver) -> None:
    """Signed, in the channel's own format; and never again."""
    made = settings(channel("webhook", receiver.url()))
    (queued_id,) = await queued(memory, made.channels)
    assert await send(memory, made, 1) == Sent(delivered=1)
    assert await send(memory, made, 10_000) == Sent()
    (request,) = receiver.received
    assert request.headers["webhook-id"] == str(queued_id)
    assert request.headers["webhook-timestamp"] == str(int(after(1).timestamp()))
    with pytest.raises(WebhookVerificationError, match="too old"):  # signed at the clock of this test
        Webhook(SECRET).verify(request.body, request.headers)
    kept = await row(memory, queued_id)
    assert (kept.status, kept.attempts, kept.last_status, kept.last_error) == ("delivered", 1, 200, None)


async def test_every_format_goes_the_same_way(memory: Records, receiver: Receiver) -> None:
    """Each to its own path, at the root that it was given."""
    made = settings(
        channel("slack", receiver.url("/slack"), name="slack"),
        channel("pagerduty", receiver.url("/v2/enqueue"), name="pager"),
        channel("webhook", receiver.url("/hooks/drift"), name="loop"),
        channel("alertmanager", receiver.url("/prefix/"), name="am", secret="a-token"),
    )
    await queued(memory, made.channels)
    assert await send(memory, made) == Sent(delivered=4)
    by_path = {request.target: request for request in receiver.received}
    assert set(by_path) == {"/slack", "/v2/enqueue", "/hooks/drift", "/prefix/api/v2/alerts"}
    assert by_path["/prefix/api/v2/alerts"].headers["authorization"] == "Bearer a-token"


async def test_changes_come_in_their_order(memory: Records, receiver: Receiver) -> None:
    """Also when the first one fails: what follows waits for it, in that channel and for that cause only."""
    made = settings(channel("webhook", receiver.url()))
    receiver.behaviour = saying(answer(503), OK)
    ids = await queued(memory, made.channels, *STORY)
    await queued(memory, made.channels, family="score")
    assert await send(memory, made) == Sent(again=1)
    # The first waits for five seconds; another cause does not.
    assert await send(memory, made, 1) == Sent(delivered=1)
    assert receiver.received[-1].document["family"] == "score"
    assert await send(memory, made, 60) == Sent(delivered=3)
    assert [
        request.headers["webhook-id"]
        for request in receiver.received
        if request.document["family"] == "header"
    ] == [
        str(ids[0]),
        *map(str, ids),
    ]


async def test_what_was_given_up_holds_nothing_up(memory: Records, receiver: Receiver) -> None:
    """`resolved` is told though `opened` never arrived, and then `opened` is not told any more."""
    made = settings(channel("webhook", receiver.url()))
    receiver.behaviour = saying(answer(400, b"bad"), OK)
    await queued(memory, made.channels, Change.OPENED, Change.RESOLVED)
    assert await send(memory, made) == Sent(delivered=1, dead=1)
    async with memory.transaction() as session:
        assert await deliveries.resend_all(session, now=after(1)) == 0


async def test_the_next_alert_of_a_cause_waits_for_the_end_of_the_one_before(
    memory: Records, receiver: Receiver
) -> None:
    """Or its incident would be closed by the end of another."""
    made = settings(channel("webhook", receiver.url()))
    receiver.behaviour = saying(answer(503), OK)
    first = await opened(memory)
    await queued(memory, made.channels, Change.RESOLVED, alert_id=first)
    await resolved(memory, first)
    second = await opened(memory)
    await queued(memory, made.channels, Change.OPENED, alert_id=second)
    assert await send(memory, made) == Sent(again=1)
    assert await send(memory, made, 60) == Sent(delivered=2)
    assert changes(receiver) == ["resolved", "resolved", "opened"]


async def test_a_channel_that_hangs_holds_up_no_other(memory: Records, receiver: Receiver) -> None:
    """The other one's messages arrive while it hangs, and it has one attempt in a pass."""
    free = asyncio.Event()

    async def hanging(_request: Received, writer: asyncio.StreamWriter) -> None:
        await free.wait()
        writer.write(answer(503))

    async with running(hanging) as slow:
        made = settings(
            channel("webhook", slow.url(), name="slow"), channel("webhook", receiver.url(), name="quick")
        )
        for family in ("header", "score", "text"):
            await queued(memory, made.channels, family=family)
        sending = asyncio.create_task(send(memory, made))
        await receiver.wait(lambda: len(receiver.received) == 3)
        await slow.wait(lambda: len(slow.received) == 1)
        assert not sending.done()
        free.set()
        assert await sending == Sent(delivered=3, again=1)
        assert len(slow.received) == 1


async def test_what_is_queued_while_a_channel_hangs_arrives_too(memory: Records, receiver: Receiver) -> None:
    """In the same pass, though its channel had nothing to send when that began."""
    free = asyncio.Event()

    async def hanging(_request: Received, writer: asyncio.StreamWriter) -> None:
        await free.wait()
        writer.write(OK)

    async with running(hanging) as slow:
        made = settings(
            channel("webhook", slow.url(), name="slow"), channel("webhook", receiver.url(), name="quick")
        )
        await queued(memory, made.channels[:1])
        sending = asyncio.create_task(send(memory, made))
        await slow.wait(lambda: len(slow.received) == 1)
        await queued(memory, made.channels[1:], family="score")
        await receiver.wait(lambda: len(receiver.received) == 1)
        assert not sending.done()
        free.set()
        assert await sending == Sent(delivered=2)


async def test_a_pass_that_is_broken_off_can_be_done_again(memory: Records, receiver: Receiver) -> None:
    """What it had claimed is due when the claim ends; no task of it goes on."""

    async def hanging(_request: Received, _writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    receiver.behaviour = hanging
    made = settings(channel("webhook", receiver.url()))
    await queued(memory, made.channels)
    before = asyncio.all_tasks()
    sending = asyncio.create_task(send(memory, made))
    await receiver.wait(lambda: len(receiver.received) == 1)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert {task for task in asyncio.all_tasks() - before if "Receiver" not in repr(task)} == set()
    receiver.behaviour = saying(OK)
    assert await send(memory, made, 300) == Sent(delivered=1)


async def test_a_dead_channel_costs_one_attempt_in_a_pass(memory: Records) -> None:
    """The others of its messages are tried in the next passes, and none is starved."""
    async with running() as gone:
        pass
    made = settings(channel("webhook", gone.url()))
    ids = [(await queued(memory, made.channels, family=family))[0] for family in ("header", "score", "text")]
    for number in range(3):
        assert await send(memory, made, number / 10) == Sent(again=1)
    assert [(await row(memory, each)).attempts for each in ids] == [1, 1, 1]


async def test_an_hour_of_outage_loses_nothing(memory: Records, receiver: Receiver) -> None:
    """The whole story arrives after it, in order, each change with one id in all its attempts."""
    made = settings(channel("webhook", receiver.url()))
    receiver.behaviour = saying(answer(503))
    ids = await queued(memory, made.channels, *STORY)
    moment = 0.0
    while moment < 3600:
        await send(memory, made, moment)
        first = await row(memory, ids[0])
        assert first.status == "pending"
        assert timedelta(0) <= first.next_attempt_at - after(moment) <= LONGEST_WAIT
        moment = max(moment + 1, (first.next_attempt_at - after(0)).total_seconds())
    assert set(changes(receiver)) == {"opened"}
    assert 10 < len(receiver.received) < 60
    assert len({request.headers["webhook-timestamp"] for request in receiver.received}) == len(
        receiver.received
    )
    receiver.behaviour = saying(OK)
    assert await send(memory, made, moment) == Sent(delivered=3)
    assert list(dict.fromkeys(request.headers["webhook-id"] for request in receiver.received)) == list(
        map(str, ids)
    )
    assert changes(receiver)[-3:] == ["opened", "acknowledged", "resolved"]


async def test_after_its_time_a_message_is_a_dead_letter(memory: Records, receiver: Receiver) -> None:
    """With what was wrong last; a person can have it sent again, with attempts of its own."""
    made = settings(channel("webhook", receiver.url()), delivery_give_up="1h")
    receiver.behaviour = saying(answer(503, b"down for maintenance"))
    (only,) = await queued(memory, made.channels)
    moment, sent = 0.0, Sent()
    while not sent.dead:
        sent = await send(memory, made, moment)
        moment = max(moment + 1, ((await row(memory, only)).next_attempt_at - after(0)).total_seconds())
    kept = await row(memory, only)
    assert moment >= 3600
    assert (
        kept.last_error
        == f"given up after {kept.attempts} attempts; the last: HTTP 503: down for maintenance"
    )
    async with memory.transaction() as session:
        assert await deliveries.resend_all(session, now=after(moment)) == 1
    assert await send(memory, made, moment) == Sent(again=1)
    receiver.behaviour = saying(OK)
    assert await send(memory, made, moment + 600) == Sent(delivered=1)


async def test_a_message_that_nobody_sent_for_days_has_its_chances(
    memory: Records, receiver: Receiver
) -> None:
    """It is not given up at the first failure because it is old."""
    made = settings(channel("webhook", receiver.url()))
    receiver.behaviour = saying(answer(503))
    await queued(memory, made.channels)
    moment = 10 * 86_400.0
    for _ in range(LEAST_ATTEMPTS - 1):
        assert await send(memory, made, moment) == Sent(again=1)
        moment += 600
    assert await send(memory, made, moment) == Sent(dead=1)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (400, b"invalid_blocks", "HTTP 400: invalid_blocks"),
        (401, b"", "HTTP 401"),
        (404, b"no_service", "HTTP 404: no_service"),
        (410, b"", "HTTP 410"),
        (
            302,
            b"elsewhere",
            "HTTP 302: it points elsewhere, and no redirect is followed; give the channel its final url",
        ),
    ],
)
async def test_a_refusal_is_final(
    memory: Records, receiver: Receiver, status: int, body: bytes, words: str
) -> None:
    """At once, with the reason."""
    made = settings(channel("slack", receiver.url()))
    receiver.behaviour = saying(answer(status, body, Location="http://169.254.169.254/", Retry_After="1"))
    (only,) = await queued(memory, made.channels)
    assert await send(memory, made) == Sent(dead=1)
    kept = await row(memory, only)
    assert (kept.status, kept.last_status, kept.last_error, kept.attempts) == ("dead", status, words, 1)
    assert await send(memory, made, 10_000) == Sent()
    assert len(receiver.received) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
async def test_load_is_waited_out_as_long_as_it_asks(
    memory: Records, receiver: Receiver, status: int
) -> None:
    """`Retry-After` is kept: not before, and then."""
    made = settings(channel("slack", receiver.url()))
    receiver.behaviour = saying(answer(status, Retry_After="120"), OK)
    await queued(memory, made.channels)
    assert await send(memory, made) == Sent(again=1)
    assert await send(memory, made, 119) == Sent()
    # The answer came a little after the clock of the test, however loaded the machine is.
    assert await send(memory, made, 180) == Sent(delivered=1)


async def test_a_channel_that_is_gone_leaves_dead_letters(memory: Records, receiver: Receiver) -> None:
    """With that reason; and when it is back they can be sent."""
    made = settings(channel("slack", receiver.url()))
    (only,) = await queued(memory, made.channels)
    assert await send(memory, settings(), only="on-call") == Sent()
    assert await send(memory, settings()) == Sent(dead=1)
    assert (await row(memory, only)).last_error == UNCONFIGURED
    async with memory.transaction() as session:
        assert await deliveries.resend_all(session, now=after(1)) == 1
    assert await send(memory, made, 1) == Sent(delivered=1)


async def test_an_address_that_is_not_allowed_is_final_and_says_so(
    memory: Records, receiver: Receiver
) -> None:
    """Nothing was connected."""
    made = settings(channel("slack", receiver.url()), egress_allowed=())
    (only,) = await queued(memory, made.channels)
    assert await send(memory, made) == Sent(dead=1)
    assert "MONITORING_EGRESS_ALLOWED" in ((await row(memory, only)).last_error or "")
    assert receiver.connections == 0


async def test_what_cannot_be_read_is_put_aside(memory: Records, receiver: Receiver) -> None:
    """A message of another version of Sluice stops nothing."""
    made = settings(channel("webhook", receiver.url()))
    (broken,) = await queued(memory, made.channels)
    await queued(memory, made.channels, family="score")
    async with memory.transaction() as session:
        changed = update(WebhookDelivery).where(WebhookDelivery.id == broken).values(payload={"text": "old"})
        await session.execute(changed)
    assert await send(memory, made) == Sent(delivered=1, dead=1)
    assert (await row(memory, broken)).last_error == "what was queued cannot be read by this version"


async def test_what_is_kept_holds_no_secret(
    memory: Records, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    """Although the endpoint sends back all that it got."""
    echo = f"no hook {receiver.url()} with {SECRET}".encode()
    receiver.behaviour = saying(answer(500, echo))
    made = settings(channel("webhook", receiver.url()))
    (only,) = await queued(memory, made.channels)
    await send(memory, made)
    kept = (await row(memory, only)).last_error or ""
    assert kept == "HTTP 500: no hook [redacted] with [redacted]"
    written = "".join(capsys.readouterr())
    assert "the-secret-of-the-path" not in written
    assert SECRET not in written


async def test_only_one_channel_is_served_if_it_is_named(memory: Records, receiver: Receiver) -> None:
    """The others keep their messages."""
    made = settings(
        channel("slack", receiver.url(), name="one"), channel("slack", receiver.url(), name="two")
    )
    await queued(memory, made.channels)
    assert await send(memory, made, only="two") == Sent(delivered=1)
    assert await send(memory, made, only="two") == Sent()
    assert await send(memory, made) == Sent(delivered=1)


async def test_a_pass_over_nothing_writes_nothing(memory: Records, receiver: Receiver) -> None:
    """Not even while another process holds the only writer's lock of SQLite."""
    made = settings(channel("slack", receiver.url()))
    async with memory.transaction():
        assert await send(memory, made) == Sent()


async def test_severities_that_were_told_end_with_the_alert(memory: Records, receiver: Receiver) -> None:
    """To Alertmanager each severity is an alert of its own."""
    made = settings(channel("alertmanager", receiver.url()))
    (first,) = await queued(memory, made.channels)
    alert_id = (await row(memory, first)).alert_id
    await queued(memory, made.channels, Change.WORSENED, alert_id=alert_id, severity=Severity.CRITICAL)
    await queued(memory, made.channels, Change.RESOLVED, alert_id=alert_id, severity=Severity.INFO)
    assert await send(memory, made) == Sent(delivered=3)
    end = event().at.isoformat()
    told = [
        {each["labels"]["severity"]: each["endsAt"] == end for each in request.document}
        for request in receiver.received
    ]
    assert told == [
        {"warning": False},
        {"critical": False, "warning": True},
        {"critical": True, "warning": True},
    ]
