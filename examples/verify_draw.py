#!/usr/bin/env python3
"""Verifies a round's draw (coupon/draw/v1) from its published file, with Python's standard library and nothing of the service.

    verify_draw.py draw.json [--ticket N --user U --receipt HEX]

Compare commit, root and beacon with what you saw before reservation opened, when it closed, and at the beacon's source.
Exit code 0: all that is published holds; 1: something does not; 2: the file or the arguments cannot be used.
"""
import argparse, hashlib, hmac, json, pathlib, re, sys

# The fields of the file; those with a question mark may be null.
FIELDS = dict(campaign_id="text", round_id="text", ratio="ratio?", cap="u32", added="u32", remaining_total="u64?", commit="hash",
              places="u32", root="hash", beacon_source="text?", beacon="hex?", seed="hash?", key="hash?", winners="u32?",
              last_score="hash?", leaves="hashes")
HEX = dict(hash="[0-9a-fA-F]{64}", receipt="[0-9a-fA-F]{32}", hex="([0-9a-fA-F]{2})*")
ROUNDINGS = ["FLOOR", "CEIL", "NEAREST"]

def parse(kind, value):
    if kind.endswith("?") and value is None:
        return None
    kind = kind.rstrip("?")
    if kind == "text" and type(value) is str:
        return value.encode()
    if kind in HEX and type(value) is str and re.fullmatch(HEX[kind], value):
        return bytes.fromhex(value)
    if kind in ("u32", "u64") and type(value) is int and 0 <= value < 1 << int(kind[1:]):
        return value
    if kind == "hashes" and type(value) is list:
        return [parse("hash", leaf) for leaf in value]
    if kind == "ratio" and type(value) is dict and set(value) == {"numerator", "denominator", "rounding"}:
        num, den, rounding = parse("u32", value["numerator"]), parse("u32", value["denominator"]), value["rounding"]
        if 1 <= num <= den <= 10**6 and rounding in ROUNDINGS:
            return num, den, rounding
    raise ValueError(f"{str(value)[:70]!r} is not of the kind {kind}")

def read(path):
    fields = json.loads(pathlib.Path(path).read_text("utf-8"))
    if type(fields) is not dict or fields.pop("format", None) != "coupon/draw/v1" or set(fields) != set(FIELDS):
        raise ValueError("it is not of the format coupon/draw/v1, or a field is missing or unknown")
    return argparse.Namespace(**{name: parse(kind, fields[name]) for name, kind in FIELDS.items()})

def sha(data): return hashlib.sha256(data).digest()
def mac(key, data): return hmac.digest(key, data, "sha256")
def number(value, size=8): return value.to_bytes(size, "big")
def enc(*fields): return b"".join(number(len(field), 4) + field for field in fields)

def tree(nodes):  # RFC 6962, section 2.1, level by level: a node without a neighbour rises as it is
    while len(nodes) > 1:
        joined = [sha(b"\1" + left + right) for left, right in zip(nodes[::2], nodes[1::2])]
        nodes = joined + nodes[2 * len(joined):]
    return nodes[0] if nodes else sha(b"")

def verify(draw, own_ticket, user, receipt):
    """Yields each step: its name, whether it holds (None: not published), the figures."""
    def compare(name, computed, given, more=""):
        shown = [value.hex() if type(value) is bytes else value for value in (computed, given)]
        return name, computed == given, f"computed {shown[0]}, in the file {shown[1]}{more}"
    yield compare("places", len(draw.leaves), draw.places)
    yield compare("root", tree(draw.leaves), draw.root)
    if own_ticket is not None:
        leaf = sha(b"\0" + enc(number(own_ticket), sha(enc(user, receipt))))
        yield "own place", draw.leaves[own_ticket:own_ticket + 1] == [leaf], f"ticket {own_ticket} has the leaf {leaf.hex()}"
    if draw.seed is None:
        sealed = draw.key is draw.winners is draw.last_score is None
        yield "draw", None if sealed else False, "the seed is not in the file; after the claims it follows, with all that it decided"
        return
    num, den, rounding = draw.ratio or (0, 0, "FLOOR")
    params = enc(b"coupon/draw/v1", draw.round_id, number(num, 4), number(den, 4), number(ROUNDINGS.index(rounding), 1), number(draw.cap))
    yield compare("commit", sha(enc(b"commit", params, draw.seed)), draw.commit)
    source, beacon = draw.beacon_source, draw.beacon
    holds = (source is None) == (beacon is None) or (None if beacon is None else False)
    yield "beacon", holds, f"source {source and source.decode()}, bytes {beacon and beacon.hex()}; ask why if there is but one of them"
    key = mac(draw.seed, enc(b"key", params, number(draw.places), draw.root, b"" if None in (source, beacon) else enc(source, beacon)))
    yield compare("K", key, draw.key)
    n = draw.places * num
    share = dict(FLOOR=n // den, CEIL=-(-n // den), NEAREST=(2 * n + den) // (2 * den))[rounding] if den else draw.cap
    bounds = [share + draw.added, draw.cap + draw.added if den and draw.cap else None, draw.places, draw.remaining_total]
    winners = min(bound for bound in bounds if bound is not None)
    yield compare("W", winners, draw.winners, f"; the least of share, cap, places and the campaign's rest {bounds}")
    order = sorted((mac(key, number(ticket)), ticket) for ticket in range(len(draw.leaves)))
    lowest = f"; the lowest winning tickets are {sorted(ticket for _, ticket in order[:winners])[:10]}"
    yield compare("W-th score", order[:winners][-1][0] if order[:winners] else None, draw.last_score, lowest)
    for rank, (score, _) in (entry for entry in enumerate(order) if entry[1][1] == own_ticket):
        yield "own result", True, f"score {score.hex()}, rank {rank} (0 is the best): {'won' if rank < winners else 'not drawn'}"

options = argparse.ArgumentParser(description="Verifies a round's draw from its published file.")
for name, kind in {"file": str, "--ticket": int, "--user": str, "--receipt": str}.items():
    options.add_argument(name, type=kind)
given = options.parse_args()
own = [given.ticket, given.user, given.receipt]
if None in own and own != [None, None, None]:
    options.error("--ticket, --user and --receipt go together")
try:
    steps = list(verify(read(given.file), *map(parse, ["u32?", "text?", "receipt?"], own)))
except (OSError, ValueError, RecursionError) as why:
    sys.exit(print(f"{given.file} cannot be used: {why}", file=sys.stderr) or 2)
for name, holds, figures in steps:
    print(f"{'not published' if holds is None else 'passed' if holds else 'FAILED':14} {name}: {figures}")
sys.exit(1 if any(holds is False for _, holds, _ in steps) else 0)
