"""The turnstile between woken Canaries and their passes."""

import asyncio

from flagger_py.controller.turnstile import Turnstile


async def test_those_who_wait_go_through_in_order_and_others_run_between_any_two() -> None:
    """Nobody who is not at the turnstile waits for the whole queue, such as the renewal of the lease."""
    turnstile, seen = Turnstile(), list[str]()

    async def come(name: str) -> None:
        await turnstile.go_through()
        seen.append(name)

    async def renew() -> None:
        while len(seen) < 6:
            seen.append("renewed")
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for name in "abc":
            group.create_task(come(name), name=name)
        group.create_task(renew(), name="renew")
    assert [name for name in seen if name != "renewed"] == ["a", "b", "c"]
    assert "ab" not in "".join(seen).replace("renewed", "-")
    assert "bc" not in "".join(seen).replace("renewed", "-")
