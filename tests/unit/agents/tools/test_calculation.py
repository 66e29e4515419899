from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.errors import ToolError
from agents.tools.calculation import MAX_EXPRESSION, calculate


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("12*7", "84"),
        ("0.1 + 0.2", "0.3"),
        ("-(3 - 5) * 2", "4"),
        ("2**10", "1,024"),
        ("10 / 4", "2.5"),
        ("1/3", "about 0.3333333333"),
        ("1234567 + 1", "1,234,568"),
        ("7 % 4", "3"),
        ("sqrt(2)**2", "2"),
        ("2**100", "about 1.268 times 10 to the power of 30"),
        ("-0.5", "-0.5"),
        ("1/10**12", "0.000000000001"),
        ("1/1e80", "about 1 times 10 to the power of -80"),
        ("-0.0", "0"),
    ],
)
def test_values_are_written_as_they_are_read_aloud(expression: str, value: str) -> None:
    assert calculate(expression) == value


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("1/0", "divided by zero"),
        ("9**9**9", "too large"),
        ("10**1000", "too large"),
        ("sqrt(-1)", "no result"),
        ("0**0", "no result"),
        ("__import__('os')", "Only numbers"),
        ("'a' * 1000", "Only numbers"),
        ("True + 1", "Only numbers"),
        ("a + 1", "Only numbers"),
        ("sqrt(4, 5)", "Only numbers"),
        ("1 +", "not an arithmetic expression"),
        ("\0", "not an arithmetic expression"),
        ("(" * 150, "not an arithmetic expression"),
        ("1" * (MAX_EXPRESSION + 1), "longer than"),
    ],
)
def test_what_cannot_be_worked_out_is_said(expression: str, message: str) -> None:
    with pytest.raises(ToolError, match=message):
        calculate(expression)


@given(st.text(alphabet="0123456789.+-*/%() esqrt", max_size=MAX_EXPRESSION))
def test_any_expression_ends_in_a_short_answer_or_a_tool_error(expression: str) -> None:
    with suppress(ToolError):
        assert len(calculate(expression)) < 80
