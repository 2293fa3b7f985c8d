"""Stock keeping for a small shop: what is on the shelf, what it is worth, what to order."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Item:
    """An article, how many of it there are, and the price of one in cents."""

    name: str
    quantity: int
    price: int

    @property
    def value(self) -> int:
        return self.quantity * self.price


class Inventory:
    """Items by name. Quantities never go below zero."""

    def __init__(self, items: Iterable[Item] = ()) -> None:
        self.items = {item.name: item for item in items}

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items.values())

    def add(self, name: str, quantity: int, price: int) -> None:
        """Put `quantity` more of an item on the shelf; the latest price counts."""
        known = self.items.get(name)
        total = quantity + (known.quantity if known else 0)
        self.items[name] = Item(name, total, price)

    def take(self, name: str, quantity: int) -> None:
        """Take items off the shelf; ValueError if there are not enough."""
        item = self.items[name]
        if quantity > item.quantity:
            raise ValueError(f"only {item.quantity} of {name} left")
        self.items[name] = Item(name, item.quantity - quantity, item.price)

    def running_low(self, threshold: int) -> list[Item]:
        """The items of which fewer than `threshold` are left, the scarcest first."""
        low = [item for item in self if item.quantity < threshold]
        return sorted(low, key=lambda item: item.quantity)

    def total_value(self) -> int:
        """What everything on the shelf is worth, in cents."""
        # ▮


def read_csv(path: Path) -> Inventory:
    """Read a file with the columns name, quantity and price."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        return Inventory(Item(row["name"], int(row["quantity"]), int(row["price"])) for row in rows)
