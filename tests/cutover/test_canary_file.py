"""canary.yaml: every mistake at once, with its place; and what each step needs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualgauge.cutover.canary.check import read
from dualgauge.cutover.canary.model import CanaryFile
from dualgauge.cutover.canary.needs import needs
from dualgauge.cutover.errors import BadCanary
from dualgauge.cutover.statistics import proves, safe
from dualgauge_router.canary import CanaryRules

STEPS = "steps: [{share: 1%}, {share: 100%}]\n"


def mistakes(text: str) -> list[tuple[int, int, str]]:
    with pytest.raises(BadCanary) as caught:
        read(text, "canary.yaml")
    return [(one.line, one.column, one.what) for one in caught.value.mistakes]


@pytest.mark.parametrize(
    ("text", "line", "column", "what"),
    [
        ("", 1, 1, "a canary.yaml is a mapping"),
        ("- 1", 1, 1, "a canary.yaml is a mapping"),
        ("steps: [", 1, 9, "this is not YAML"),
        ("\tsteps: 1", 1, 1, "this is not YAML"),
        ("unit: a\nunit: b\n" + STEPS, 2, 1, "the key 'unit' is there twice"),
        ("rolout: a\n" + STEPS, 1, 1, "there is no key 'rolout' here (did you mean 'rollout'?)"),
        ("guards: [a]\n" + STEPS, 1, 1, "`guards` is not acted on by this version"),
        ("serve: {}\n" + STEPS, 1, 8, "`timeout` is missing"),
        ("serve: {timeout: 1h}\n" + STEPS, 1, 18, "'1h' is not a short time"),
        ("shadow: {sample: 10}\n" + STEPS, 1, 18, "10 is not a share of reads"),
        ("shadow: {settle: 2}\n" + STEPS, 1, 18, "2 is not a short time; write a whole number of milliseconds"),
        ("shadow: {timeout: 1m}\n" + STEPS, 1, 19, "'1m' is not a short time"),
        ("shadow: {queue: 0}\n" + STEPS, 1, 17, "`queue`: input should be greater than or equal to 1"),
        ("shadow: {breaker: {error: 3}}\n" + STEPS, 1, 20, "there is no key 'error' here"),
        ("shadow: {samples: 3%}\n" + STEPS, 1, 10, "there is no key 'samples' here"),
        ("rollout: a:b\n" + STEPS, 1, 10, "`rollout`"),
        ("unit: 7\n" + STEPS, 1, 7, "`unit`: input should be a valid string"),
        ("alpha: 0.5\n" + STEPS, 1, 8, "`alpha`: input should be less than or equal to 0.2"),
        ("steps: []", 1, 8, "at least 1 item"),
        ("unit: a", 1, 1, "`steps` is missing"),
        ("steps: [{share: 5}]", 1, 17, "5 is not a share of reads; write it as a percentage"),
        ("steps: [{share: 101%}]", 1, 17, "101% is not a share of reads: it is over 100"),
        ("steps: [{share: 0.00001%}]", 1, 17, "the finest share is 0.0001"),
        ("steps: [{shares: 1%}]", 1, 10, "there is no key 'shares' here (did you mean 'share'?)"),
        ("steps:\n- {share: 5%}\n- {share: 5%}", 3, 11, "shares rise from step to step, and 5% stands before this"),
        ("steps:\n- {share: 1%}\n- {share: 5%}\n- {share: 3%}", 4, 11, "shares rise from step to step, and 5%"),
        ("steps: [{share: 0%}, {share: 0%}]", 1, 30, "shares rise"),
        ("cohorts: {a: {attr: b, in: [c]}}\nsteps: [{share: 0%, cohorts: [a]}, {share: 0%}]", 2, 44, "shares rise"),
        ("steps: [{share: 1%, soak: 5}]", 1, 27, "5 is not a duration"),
        ("steps: [{share: 1%, soak: 1 hour}]", 1, 27, "'1 hour' is not a duration"),
        ("steps: [{share: 1%, cohorts: [eu]}]", 1, 31, "there is no cohort 'eu'; `cohorts` declares none"),
        ("gates: {a: {bad: mismatch, limit: 1%}}\nsteps: [{share: 1%, gates: [b]}]", 2, 29, "no gate 'b'; there are a"),
        ("gates: {a: {bad: miss, limit: 1%}}\n" + STEPS, 1, 18, "`bad` is 'miss'; allowed: 'mismatch', 'v2_error' or"),
        ("gates: {a: {bad: mismatch, limit: 0%}}\n" + STEPS, 1, 35, "'0%' is not a limit of a rate"),
        ("gates: {a: {bad: mismatch, limit: 0.1}}\n" + STEPS, 1, 35, "0.1 is not a limit of a rate"),
        ("gates: {a: {bad: mismatch, limit: 1%, advance: ignored, alarm: ignored}}\n" + STEPS, 1, 12, "neither open"),
        ("gates: {a: {bad: mismatch, limit: 1%, alpha: 0.1}}\n" + STEPS, 1, 46, "alpha 0.1 is over the file's 0.05"),
        ("cohorts: {a: {attr: b}}\n" + STEPS, 1, 14, "a cohort asks one thing of its attribute"),
        ("cohorts: {a: {attr: b, in: [1], starts_with: c}}\n" + STEPS, 1, 14, "a cohort asks one thing"),
        ("cohorts: {7: {attr: b, in: [1]}}\n" + STEPS, 1, 11, "the key 7 is no plain text; write it in quotes"),
        ("overrides: {pin_v1: {units: [007]}}\n" + STEPS, 1, 30, "write it in quotes, '007'"),
        ("overrides: {pin_v1: {units: [0x1f]}}\n" + STEPS, 1, 30, "write it in quotes, '0x1f'"),
        ("overrides: {pin_v1: {units: [1e5]}}\n" + STEPS, 1, 30, "write it in quotes, '1e5'"),
        ("overrides: {pin_v1: {units: [1.5]}}\n" + STEPS, 1, 30, "1.5 cannot be a unit: it is of type float"),
        ("overrides: {pin_v1: {units: [true]}}\n" + STEPS, 1, 30, "True cannot be a unit: it is of type bool"),
        ("overrides: {pin_v1: {units: [a]}, pin_v2: {units: [b, a]}}\n" + STEPS, 1, 55, "'a' is pinned by pin_v1 too"),
        ("overrides: {pin_v1: {units: [7]}, pin_v2: {units: ['7']}}\n" + STEPS, 1, 52, "is pinned by pin_v1 too"),
        ("overrides: {pin_v2: {cohorts: [x]}}\n" + STEPS, 1, 32, "there is no cohort 'x'"),
        ("overrides: {pin_v3: {}}\n" + STEPS, 1, 13, "there is no key 'pin_v3' here"),
        ("overrides:\n  pin_v2:\n    units: [!!str [a]]\n" + STEPS, 3, 13, "this is a sequence, and its tag says"),
        ("cohorts: !!map [a]\n" + STEPS, 1, 10, "this is a sequence, and its tag says"),
        ("overrides: {pin_v2: {units: !!seq foo}}\n" + STEPS, 1, 29, "this is a scalar, and its tag says"),
        ("cohorts: {c: {attr: a, in: [!!bool yes]}}\n" + STEPS, 1, 29, "write it in quotes, 'yes'"),
        ("%YAML 1.1\n---\ncohorts: {c: {attr: a, in: [on]}}\n" + STEPS, 3, 29, "write it in quotes, 'on'"),
        ("overrides: {pin_v2: {units: [-0]}}\n" + STEPS, 1, 30, "write it in quotes, '-0'"),
        ("overrides: {pin_v2: {units: [" + "9" * 5000 + "]}}\n" + STEPS, 1, 30, "write it in quotes, '9999"),
        ('overrides: {pin_v2: {units: ["\\ud800"]}}\n' + STEPS, 1, 30, "half a character"),
        ("? [a, b]\n: 1\n" + STEPS, 1, 3, "the key has several parts"),
        ("a: " + "[" * 100 + "]" * 100 + "\n" + STEPS, 1, 54, "this has too many levels"),
        ("a: " + "[" * 20_000 + "]" * 20_000 + "\n" + STEPS, 1, 1, "this has too many levels"),
        ("gates: {a: {bad: mismatch, limit: 1/0%}}\n" + STEPS, 1, 35, "'1/0%' is not a limit of a rate"),
        ("gates: {a: {bad: mismatch, limit: 99.99999999999999999999%}}\n" + STEPS, 1, 35, "is not a limit of a rate"),
        ("gates: {a: {bad: mismatch, limit: 0.00000000001%}}\n" + STEPS, 1, 35, "is not a limit of a rate"),
        ('cohorts: {"\\ud800": {attr: a, in: [b]}}\n' + STEPS, 1, 11, "half a character"),
        ("cohorts: {c: {attr: a, in: [1.5]}}\n" + STEPS, 1, 29, "give a text, a whole number, or true or false"),
        ("<<: {unit: a}\n" + STEPS, 1, 1, "the key << merges another part"),
        ("unit: a\nrollout: b\x07\n" + STEPS, 2, 11, "this is not YAML"),
        ("alpha: '0.01'\n" + STEPS, 1, 8, "`alpha`: input should be a valid number"),
        ("cohorts: {c: {attr: a, in: [b]}}\noverrides: {pin_v1: {cohorts: [c]}, pin_v2: {cohorts: [c]}}\n" + STEPS,
         2, 56, "the cohort 'c' is pinned by pin_v1 too"),
        ("unit: &a a\nrollout: *b\n" + STEPS, 2, 10, "this is not YAML: found undefined alias"),
        ("overrides: &a {pin_v1: *a}\n" + STEPS, 1, 12, "this is a part of itself"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(text: str, line: int, column: int, what: str) -> None:
    found = mistakes(text)
    assert [(one, two) for one, two, told in found if what in told] == [(line, column)], found


def test_every_mistake_is_told_at_once() -> None:
    text = (
        "rolout: x\n"
        "cohorts: {a: {attr: x, in: []}}\n"
        "overrides: {pin_v1: {units: [007], cohorts: [nope]}}\n"
        "gates: {g: {bad: miss, limit: 1%}}\n"
        "steps: [{share: 5}, {share: 10%, gates: [q]}, {share: 5%, soak: x}]\n"
    )
    assert [line for line, *_ in mistakes(text)] == [1, 2, 3, 3, 4, 5, 5, 5, 5]


def test_what_can_work_is_read_as_it_is_written() -> None:
    found = read(
        "rollout: r\nunit: customer\n"
        "cohorts: {a: {attr: x, in: ['007', 7, true]}}\n"
        "overrides: {pin_v2: {units: ['007', 7, [a, 1, ~]]}}\n"
        "steps:\n- {share: 0%}\n- {share: 0%, cohorts: [a], soak: 30m}\n- {share: 0.25%, name: few}\n- {share: 100%}\n",
        "canary.yaml",
    )
    said = json.loads(found.text)
    assert said["cohorts"] == {"a": {"attr": "x", "in": ["007", 7, True]}}
    assert said["overrides"]["pin_v2"]["units"] == ["007", 7, ["a", 1, None]]
    assert [(one["name"], one["share_ppm"], one["soak_seconds"]) for one in said["steps"]] == [
        ("0%", 0, 0), ("0%", 0, 1800), ("few", 2_500, 0), ("100%", 1_000_000, 0),
    ]  # fmt: skip
    assert CanaryRules.of(found.text).pin_v2.units == {"007", "7", '["a",1,null]'}


def test_a_step_needs_the_reads_that_prove_its_gates_and_the_time_that_they_take() -> None:
    found = read(
        "gates:\n"
        "  parity: {bad: mismatch, limit: 0.1%}\n"
        "  errors: {bad: v2_error, limit: 1%, alpha: 0.01}\n"
        "  alarm: {bad: v2_timeout, limit: 1%, advance: ignored}\n"
        "steps:\n"
        "- {share: 1%, gates: [parity, errors, alarm], soak: 1h}\n"
        "- {share: 10%, gates: [errors]}\n"
        "- {share: 100%}\n",
        "canary.yaml",
    )
    first, second, last = needs(found, rate=5)
    assert first.gates == {"parity": 3_325, "errors": second.reads}
    assert proves(safe(0.01, second.reads, 0), 0.01)
    assert not proves(safe(0.01, second.reads - 1, 0), 0.01)
    assert (first.reads, first.seconds, second.seconds, last.seconds) == (3_325, 3_600.0, second.reads / 5, None)
    assert [one.stage for one in (first, second, last)] == ["canary", "canary", "live"]
    assert [one.seconds for one in needs(found)] == [3_600.0, None, None]


def test_names_for_parts_in_parts_are_not_followed_for_ever() -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + at)}: &{chr(98 + at)} [{','.join([f'*{chr(97 + at)}'] * 10)}]\n" for at in range(6)
    )
    assert any("this has more than 20,000 parts" in what for *_, what in mistakes(bomb + STEPS))


def test_a_folded_text_is_what_yaml_says_it_is() -> None:
    found = read("overrides:\n  pin_v2:\n    units:\n      - >-\n        a\n        b\n" + STEPS, "canary.yaml")
    assert found.overrides.pin_v2.units == ["a b"]


@given(text=st.text(alphabet="steps:{}[]-&*!|>%@'\"# \n\t01a,~?", max_size=40))
def test_whatever_a_file_holds_it_is_read_or_refused(text: str) -> None:
    try:
        found = read(text, "canary.yaml")
    except BadCanary as fault:
        found = fault.mistakes
    assert found


def test_the_published_schema_is_that_of_the_file() -> None:
    schema = json.loads((Path(__file__).parents[2] / "docs" / "canary.schema.json").read_text(encoding="utf-8"))
    assert schema["properties"].keys() == CanaryFile.model_fields.keys()
    assert schema["additionalProperties"] is False
