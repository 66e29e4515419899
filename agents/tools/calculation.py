"""Arithmetic that is safe to run on anything a model or a caller says."""

from __future__ import annotations

import ast
from collections.abc import Callable
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow

from agents.errors import ToolError

MAX_EXPRESSION = 200
_EXACT = Context(prec=40, Emax=999, Emin=-999, traps=[InvalidOperation, DivisionByZero, Overflow])
_SETTLED = Context(prec=30)  # the last ten of the forty digits are noise of roots and thirds
_SPOKEN = Context(prec=10)
_PLAIN_LIMIT = Decimal(10) ** 18
_PLAIN_LEAST = Decimal(10) ** -12

_OPERATORS: dict[type[ast.operator], Callable[[Decimal, Decimal], Decimal]] = {
    ast.Add: _EXACT.add,
    ast.Sub: _EXACT.subtract,
    ast.Mult: _EXACT.multiply,
    ast.Div: _EXACT.divide,
    ast.Mod: _EXACT.remainder,
    ast.Pow: _EXACT.power,
}


def calculate(expression: str) -> str:
    """The value of an expression of numbers, + - * / % **, brackets and sqrt().

    Decimal arithmetic with 40 digits and results below 10 to the 1000th, so nothing can grow without bound.
    """
    if len(expression) > MAX_EXPRESSION:
        raise ToolError(f"The expression is longer than {MAX_EXPRESSION} characters.")
    try:
        return _written(_value(ast.parse(expression.strip(), mode="eval").body))
    except (SyntaxError, ValueError, RecursionError) as error:
        raise ToolError("That is not an arithmetic expression.") from error
    except DivisionByZero as error:
        raise ToolError("Nothing can be divided by zero.") from error
    except Overflow as error:
        raise ToolError("The result is too large.") from error
    except InvalidOperation as error:
        raise ToolError("That has no result.") from error


def _value(node: ast.expr) -> Decimal:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return Decimal(repr(number))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(left), _value(right))
        case ast.Call(func=ast.Name(id="sqrt"), args=[argument], keywords=[]):
            return _EXACT.sqrt(_value(argument))
    raise ToolError("Only numbers, + - * / % **, brackets and sqrt() are understood.")


def _written(value: Decimal) -> str:
    """As it is read aloud: thousands set off, ten digits at most, no trailing zeros."""
    value = _SETTLED.plus(value)
    if value and not _PLAIN_LEAST <= abs(value) < _PLAIN_LIMIT:
        mantissa, exponent = f"{value:.3E}".split("E")
        return f"about {mantissa.rstrip('0').rstrip('.')} times 10 to the power of {int(exponent)}"
    if value == value.to_integral_value():
        return f"{int(value):,}"
    rounded = _SPOKEN.plus(value)
    return f"{'' if rounded == value else 'about '}{rounded.normalize():,f}"
