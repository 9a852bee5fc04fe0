"""Whether the cards carry the model once it is loaded."""

from __future__ import annotations

from dataclasses import replace

from tasks.accelerators.profiles import profile
from tasks.nodes.tools.cards import Card
from tasks.nodes.tools.loaded import Share, judge_loaded

TOTAL = 65520.0
# 61 GiB of weights over four cards
FOUR = Share(asked=4, mib=15616)


def cards(*used: float | None) -> list[Card]:
    return [Card(i, "K100_AI", TOTAL, held) for i, held in enumerate(used)]


def roles(*used: float | None, before: tuple[float, ...] = (), share: Share = FOUR) -> list[str]:
    found = judge_loaded(cards(*used), dict(enumerate(before)), share)
    return [card.role for card in found.cards]


def wrong(
    *used: float | None, before: tuple[float, ...] = (), share: Share = FOUR
) -> tuple[str, ...]:
    return judge_loaded(cards(*used), dict(enumerate(before)), share).wrong


def test_all_cards_that_were_asked_for_carry_it() -> None:
    assert wrong(*[59000] * 4, *[2] * 4, before=(2,) * 8) == ()
    assert roles(*[59000] * 4, 2, 2) == ["loaded"] * 4 + ["idle"] * 2


def test_a_card_that_carries_nothing_is_named_with_what_it_holds() -> None:
    (said,) = wrong(59000, 59000, 59000, 600, before=(2,) * 4)
    assert said == (
        "3 of the 4 cards asked for hold the model's share of 15,616 MiB; card 3: 600 of 65,520 MiB"
    )


def test_weights_are_known_to_a_few_percent_only() -> None:
    assert wrong(*[0.81 * 15616] * 4) == ()
    assert wrong(*[0.79 * 15616] * 4) != ()


def test_cards_of_another_pod_that_holds_them_still_are_not_ours() -> None:
    # four carry a neighbour's engine as before, of ours three do
    used, before = [60000] * 4 + [59000] * 3 + [2], (60000,) * 4 + (2,) * 4
    share = replace(FOUR, others=4)
    assert roles(*used, before=before, share=share)[:4] == ["other"] * 4
    assert "3 of the 4 cards" in wrong(*used, before=before, share=share)[0]


def test_what_made_room_for_it_held_as_much_and_is_gone() -> None:
    # replace: the same cards held the release that served; nobody else holds a device now
    assert wrong(*[59000] * 4, before=(59500,) * 4) == ()
    # a neighbour left between the look and the start
    assert wrong(*[59000] * 4, 2, 2, before=(58900, 58900, 2, 2, 2, 2)) == ()


def test_another_process_below_the_model_is_told_where_no_pod_explains_it() -> None:
    free = replace(FOUR, free_before=True)
    (said,) = wrong(*[64000] * 4, before=(2, 2, 20000, 2), share=free)
    assert said == "card 2 held 20,000 MiB of another's before the model came"
    assert wrong(*[64000] * 4, before=(2, 2, 20000, 2)) == ()  # a pod held devices then


def test_another_process_below_the_model_is_told_beside_a_stable_release_too() -> None:
    """Five cards carried memory, and pods held four of them."""
    beside = replace(FOUR, others=4, same_held=True)
    before = (60000, 60000, 60000, 60000, 2, 30000, 2, 2)
    now = (60000, 60000, 60000, 60000, 40000, 70000, 40000, 40000)
    (said,) = wrong(*now, before=before, share=beside)
    assert said == "card 5 held 30,000 MiB of another's before the model came"
    # on a card that it was not given it is nothing to the model, though as large as one
    before = (60000, 60000, 60000, 60000, 2, 2, 2, 2, 30000)
    now = (60000, 60000, 60000, 60000, *[40000] * 4, 30000)
    assert wrong(*now, before=before, share=beside) == ()
    assert roles(*now, before=before, share=beside) == ["other"] * 4 + ["loaded"] * 4 + ["other"]
    # a neighbour that holds more than before is not told from it: no guess
    before, now = (60000, 50000, 2, 2, 30000), (60000, 55000, 40000, 40000, 30000)
    assert wrong(*now, before=before, share=replace(beside, asked=2, others=2)) == ()


def test_what_firmware_holds_of_an_idle_card_is_nobodys() -> None:
    """The recorded Ascend node: 2,922 and 2,918 MiB of 32,768 idle, 29,500 with the model."""
    npus = [Card(i, "910B4", 32768, 29500) for i in (0, 1)]
    idle = {0: 2922.0, 1: 2918.0}
    share = Share(asked=2, mib=8192, free_before=True, idle_mib=profile("ascend-npu").idle_mib)
    assert judge_loaded(npus, idle, share).wrong == ()
    # 3,100 MiB in use are no 2 GiB of a model
    small = [Card(0, "910B4", 32768, 5200), Card(1, "910B4", 32768, 3100)]
    (said,) = judge_loaded(small, idle, replace(share, mib=2048)).wrong
    assert said.startswith("1 of the 2 cards asked for hold")
    guest = judge_loaded(npus, {0: 2922.0, 1: 9000.0}, share)
    assert guest.wrong == ("card 1 held 9,000 MiB of another's before the model came",)


def test_a_share_that_nobody_knows_is_not_judged() -> None:
    share = Share(asked=4, mib=None, free_before=True)
    found = judge_loaded(cards(59000, 2, 2, 2), {0: 2.0}, share)
    assert (found.wrong, [card.role for card in found.cards[:2]]) == ((), ["loaded", "idle"])
    assert found.told() == "the model's share is not known and was not judged"
    assert judge_loaded(cards(2), {}, replace(share, parts=True)).wrong == ()
    # whoever was there before is still another
    assert judge_loaded(cards(59000), {0: 20000.0}, share).wrong != ()


def test_what_a_tool_does_not_tell_fails_nothing() -> None:
    found = judge_loaded(cards(None, None), {}, FOUR)
    assert (found.wrong, found.told()) == ((), "the vendor's tool tells no memory in use")
    assert judge_loaded([], {}, FOUR).wrong == ()
    assert wrong(59000, None, 59000, 59000) == ()  # one that is silent may carry it


PARTS = Share(asked=3, mib=4000, parts=True)


def test_parts_that_all_cards_together_do_not_hold_are_missed() -> None:
    assert wrong(12500, 2, share=PARTS) == ()
    assert wrong(4100, 2, share=PARTS) == (
        "all cards together hold 4,102 MiB of any model; 3 part(s) were asked for, with 4,000 MiB "
        "of the model each",
    )
    # eight idle Ascend 910B3, whose firmware holds 2,900 MiB each
    idle = Share(asked=1, mib=15000, parts=True, idle_mib=profile("ascend-npu").idle_mib)
    assert wrong(*[2900] * 8, before=(2900,) * 8, share=idle) != ()
    assert wrong(17900, *[2900] * 7, before=(2900,) * 8, share=idle) == ()


def test_a_neighbours_memory_proves_nothing_of_parts() -> None:
    share = replace(PARTS, asked=1, mib=8000, others=9, same_held=True)
    (said,) = wrong(60000, before=(60000,), share=share)
    assert said.startswith("no card holds more than before the model came; 1 part(s)")
    # whose it is cannot be told: a neighbour came, or what made room for the candidate is gone
    for known, before in (
        (share, (52000.0,)),
        (replace(share, same_held=False), (60000.0,)),
        (replace(share, same_held=False), ()),
    ):
        found = judge_loaded(cards(60000), dict(enumerate(before)), known)
        assert found.wrong == () and found.told().startswith("others hold 9 part(s)"), found
        assert ("8,000 more than before" in found.told()) is (before == (52000.0,))


def test_a_healthy_candidate_on_parts_is_not_failed() -> None:
    alone = replace(PARTS, asked=1, mib=8000, free_before=True, same_held=True)
    assert wrong(8500, 2, before=(2, 2), share=alone) == ()
    # replaced: what served held the same parts, and is gone
    assert (
        wrong(8500, before=(8500,), share=replace(alone, free_before=False, same_held=False)) == ()
    )
    # a process of no pod was there: it may have gone since
    found = judge_loaded(cards(8500, 2), {0: 20000.0, 1: 2.0}, alone)
    assert found.wrong == () and "held memory of no pod before" in found.told()
    # small shares are lost in what engines change by themselves
    small = replace(alone, mib=1500, others=1, free_before=False)
    assert wrong(30000, before=(29000,), share=small) == ()


def test_parts_of_which_the_tool_does_not_tell_all_are_not_judged() -> None:
    found = judge_loaded(cards(2, None), {}, PARTS)
    assert found.wrong == () and "not judged" in found.told()
