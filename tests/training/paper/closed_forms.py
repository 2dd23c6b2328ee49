"""Multiply-adds of the fusions by formula (METHOD.md, section 9), counted by hand."""

import dataclasses

__all__ = ["closed_form"]


@dataclasses.dataclass(frozen=True)
class _Cost:
    """Multiply-adds of the parts of a layer; `streams` is N = T_t + T_a + T_v, `width` is d."""

    streams: int
    width: int

    def itself(self, n: int) -> int:
        """A Transformer layer over n tokens."""
        return 8 * n * self.width**2 + 2 * n**2 * self.width

    def multi(self, q: int) -> int:
        """Eq. 7 and 8: q tokens ask the three streams."""
        n, d = self.streams, self.width
        return 6 * q * d**2 + 2 * n * d**2 + 2 * q * n * d

    def back(self, q: int) -> int:
        """Eq. 9: each stream asks the q tokens."""
        n, d = self.streams, self.width
        return 6 * n * d**2 + 6 * q * d**2 + 2 * q * n * d


def closed_form(
    fusion: str,
    *,
    text: int,
    audio: int,
    vision: int,
    width: int,
    layers: int,
    bottleneck: int,
) -> int:
    """What `multiply_adds` counts, by formula; H is as long as the text.

    `width` is d, `bottleneck` is p. Source: METHOD.md, section 9.
    """
    cost = _Cost(streams=text + audio + vision, width=width)
    match fusion:
        case "hbf" | "bf":
            total, long = 0, text
            for level in range(layers):
                tokens = max(1, bottleneck // 2**level) if fusion == "hbf" else bottleneck
                short = min(tokens, long)  # never more than H has
                total += cost.itself(long) + cost.multi(short) + cost.back(short)
                long = short
            return total
        case "ca":
            return layers * (cost.itself(text) + cost.multi(text))
        case "concat":
            return 0
        case "concat-sa":
            return layers * cost.itself(cost.streams + text)
    raise ValueError(fusion)
