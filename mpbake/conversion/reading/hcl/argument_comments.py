"""Give the comments of an argument to the first entry of the list or object that it passes."""

from __future__ import annotations

from dataclasses import replace

from mpbake.conversion.syntax import Comments, Conditional, Expression, Item, ListOf, ObjectOf, Pair


def has_entries(argument: Expression) -> bool:
    """Whether an argument is a list or object with entries, or a conditional with one."""
    match argument:
        case ListOf(items=entries) | ObjectOf(pairs=entries):
            return bool(entries)
        case Conditional(then=then, otherwise=otherwise):
            return has_entries(then) or has_entries(otherwise)
        case _:
            return False


def with_comments(argument: Expression, comments: Comments) -> Expression:
    """Return an argument that has entries. Its first entry has the comments, too."""
    match argument:
        case ListOf(items=(first, *rest)):
            return replace(argument, items=(_commented(first, comments), *rest))
        case ObjectOf(pairs=(pair, *others)):
            return replace(argument, pairs=(_commented_pair(pair, comments), *others))
        case Conditional(then=then) if has_entries(then):
            return replace(argument, then=with_comments(then, comments))
        case Conditional(otherwise=otherwise):
            return replace(argument, otherwise=with_comments(otherwise, comments))
        case _:
            return argument


def _commented(item: Item, comments: Comments) -> Item:
    return replace(item, comments=_joined(comments, item.comments))


def _commented_pair(pair: Pair, comments: Comments) -> Pair:
    return replace(pair, comments=_joined(comments, pair.comments))


def _joined(outer: Comments, inner: Comments) -> Comments:
    behind = (outer.after,) if outer.after and inner.after else ()
    return Comments(before=(*outer.before, *behind, *inner.before), after=inner.after or outer.after)
