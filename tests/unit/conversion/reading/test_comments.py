"""The comments of bake files, and where they go."""

from __future__ import annotations

from mpbake.conversion.syntax import Comments, Function, ListOf, ObjectOf, Target, Variable
from tests.unit.conversion.reading.bakefiles import attribute, comment_lines, hcl


def test_the_three_kinds_of_comments_lose_their_markers() -> None:
    file = hcl(
        """
        # one
        ##  two
        //three
        /* four */
        /*
         * five
         *   six
         */
        /** seven
            eight **/
        /* nine
           ten
             eleven
        */
        a = 1
        """
    )

    lines = ("one", "#  two", "three", "four", "five", "  six", "seven", "eight", "nine", "ten", "  eleven")
    assert file.blocks[0].comments.before == lines


def test_a_heading_is_separated_by_an_empty_line() -> None:
    file = hcl(
        """
        # Licence

        # Second part

        # About a
        a = 1 # one

        # About b, first

        # second
        b = 2

        # The end
        """
    )

    assert file.heading == ("Licence", "", "Second part")
    assert [block.comments for block in file.blocks] == [
        Comments(before=("About a",), after="one"),
        Comments(before=("About b, first", "", "second")),
    ]
    assert file.trailing == ("The end",)


def test_comments_next_to_the_first_block_are_no_heading() -> None:
    assert hcl("# About a\na = 1\n").heading == ()
    assert hcl("# About a\n\na = 1\n").heading == ("About a",)
    assert hcl("# Nothing else\n").trailing == ("Nothing else",)


def test_comments_of_a_target_its_attributes_and_their_items() -> None:
    file = hcl(
        """
        target "web" { # the site
          # first
          context = "." // here

          args = { # build arguments
            # about A
            A = 1 # a
            /* about B */ B = 2
            # no C
          }
          tags = [
            "a", # one
            # two
            "b"
            # three
          ] # all tags
          # no labels
        }
        """
    )
    (target,) = file.blocks
    assert isinstance(target, Target)
    args, tags = attribute(file, "args"), attribute(file, "tags")
    assert isinstance(args, ObjectOf)
    assert isinstance(tags, ListOf)

    assert (target.comments, target.trailing) == (Comments(after="the site"), ("no labels",))
    assert [entry.comments for entry in target.entries] == [
        Comments(before=("first",), after="here"),
        Comments(after="build arguments"),
        Comments(after="all tags"),
    ]
    assert [pair.comments for pair in args.pairs] == [
        Comments(before=("about A",), after="a"),
        Comments(before=("about B",)),
    ]
    assert args.trailing == ("no C",)
    assert [item.comments for item in tags.items] == [Comments(after="one"), Comments(before=("two",))]
    assert tags.trailing == ("three",)


def test_comments_at_both_ends_of_a_value() -> None:
    file = hcl(
        """
        a = [ # opening
          1
        ] # closing
        b = [ 1, /* two */ 2 ] /* three */ # four
        """
    )

    assert [block.comments for block in file.blocks] == [
        Comments(before=("opening",), after="closing"),
        Comments(after="three four"),
    ]
    (_, last) = file.blocks
    assert isinstance(last, Variable)
    assert isinstance(last.default, ListOf)
    assert last.default.items[1].comments == Comments(before=("two",))


def test_comments_in_an_expression_go_to_its_entry() -> None:
    file = hcl(
        """
        a = (
          b # first
          && c
        )
        d = "${ e /* second */ }"
        """
    )

    assert [block.comments for block in file.blocks] == [Comments(before=("first",)), Comments(after="second")]


def test_comments_of_the_attributes_of_variables_and_functions_join_those_of_the_block() -> None:
    file = hcl(
        """
        # The version
        variable "TAG" {
          # set by CI
          default = "1" # not latest
        }
        function "f" {
          params = [a, # first
            b // second
          ]
          # The result
          result = a
        }
        """
    )
    variable, function = file.blocks

    assert isinstance(variable, Variable)
    assert variable.comments == Comments(before=("The version", "set by CI"), after="not latest")
    assert isinstance(function, Function)
    assert function.comments == Comments(before=("The result", "a: first", "b: second"))


def test_what_looks_like_a_comment_in_a_string_is_text() -> None:
    file = hcl('a = "# no // comment /* here */"\nb = <<E\n# text\nE\n')
    assert comment_lines(file).total() == 0


def test_no_comment_is_lost() -> None:
    places = """
        /*1*/ target /*2*/ "web" /*3*/ { # 4
          /*5*/ a /*6*/ = /*7*/ f( /*8*/ x, /*9*/ [ /*10*/ y /*11*/ , /*12*/ ] /*13*/ ) /*14*/ # 15
          b = { # 16
            c /*17*/ = /*18*/ "${ /*19*/ d }" /*20*/, /*21*/
            e = [for /*22*/ g in /*23*/ h : /*24*/ g if /*25*/ g /*26*/ ]
          /*27*/ }
          other /*28*/ {
            z = 1 # 29
            # 30
          }
        /*31*/ } /*32*/
        # 33
        """
    words = " ".join(comment_lines(hcl(places)).elements()).split()
    # The block `other` is ignored, with what is in it.
    assert sorted(words, key=int) == [str(number) for number in range(1, 34) if number not in {28, 29, 30}]
