#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the brain of a map costs for one I/O, by selector and number of paths.

Runs brain_bench, prints the medians as tables, compares them with the targets and draws how the
cost grows with the number of paths. Read docs/benchmarking.md first.
"""

import argparse
import datetime
import json
import math
import os
import platform
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

LOADS = {"one_by_one": "one I/O at a time", "depth_32": "32 I/Os in flight",
         "busy": "2 I/Os in flight for each path"}
TARGETS = {"round-robin": 40, "service-time": 60}  # ns for 8 paths in 2 groups

# A colour, a dash pattern and a marker each: told apart without colours, too.
STYLES = {
    "round-robin": ("#0072b2", "", "circle"),
    "queue-length": ("#d55e00", "", "square"),
    "service-time": ("#009e73", "", "diamond"),
    "historical-service-time": ("#cc79a7", "", "triangle"),
    "io-affinity": ("#56b4e9", "7 4", "circle"),
    "round-robin-count": ("#7a6a00", "2 4", "square"),
    "latency": ("#000000", "9 3 2 3", "diamond"),
}


def run(options):
    """{(load, selector, paths, groups): median ns}"""
    words = [os.path.join(options.build, "bin", "brain_bench"), "--benchmark_format=json",
             f"--benchmark_filter={options.filter}",
             f"--benchmark_repetitions={options.repeats}",
             f"--benchmark_min_time={options.seconds}",
             "--benchmark_report_aggregates_only=true",
             "--benchmark_enable_random_interleaving=true"]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        sys.exit(f"brain_bench failed with code {done.returncode}")
    found = {}
    for each in json.loads(done.stdout)["benchmarks"]:
        name = re.match(r"(\w+)/(\w+)/paths:(\d+)/groups:(\d+)", each["run_name"])
        if each.get("aggregate_name") != "median" or name is None:
            continue
        scale = {"ns": 1, "us": 1e3, "ms": 1e6}[each["time_unit"]]
        key = (name[1], name[2].replace("_", "-"), int(name[3]), int(name[4]))
        found[key] = each["cpu_time"] * scale
    return found


def table(head, rows):
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def figure(value):
    return "" if value is None else f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def in_order(selectors):
    known = list(STYLES)
    return sorted(selectors, key=lambda name: (name not in known, known.index(name)
                                               if name in known else 0, name))


def report(found, options):
    cpu = "unknown CPU"
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                cpu = line.split(":", 1)[1].strip()
                break
    print(f"{datetime.date.today()}, {os.cpu_count()} CPUs {cpu}, Linux {platform.release()}; "
          f"`./dev bench brain`: medians of {options.repeats} runs, ns of CPU time for route() + "
          "completed().")
    selectors = in_order({key[1] for key in found})
    loads = [load for load in LOADS if any(key[0] == load for key in found)]
    print("\n8 paths in 2 groups\n")
    print(table(["selector", *(LOADS[load] for load in loads), "wanted"],
                [[selector, *(figure(found.get((load, selector, 8, 2))) for load in loads),
                  f"<= {TARGETS[selector]}" if selector in TARGETS else ""]
                 for selector in selectors]))
    for load in loads:
        paths = sorted({key[2] for key in found if key[0] == load and key[3] == 1})
        print(f"\nOne group of so many paths, {LOADS[load]}\n")
        print(table(["selector", *map(str, paths)],
                    [[selector, *(figure(found.get((load, selector, count, 1)))
                                  for count in paths)] for selector in selectors]))
    missed = [f"{selector}, {LOADS[load]}: {found[load, selector, 8, 2]:.1f} ns, wanted at most "
              f"{limit}" for selector, limit in TARGETS.items() for load in loads
              if found.get((load, selector, 8, 2), 0) > limit]
    print("\n" + ("\n".join("MISS " + line for line in missed) or "Both targets are met."))


# --- the drawing -----------------------------------------------------------------------------------

WIDTH, HEIGHT = 860, 520
LEFT, RIGHT, TOP, BOTTOM = 80, 640, 60, 450


def marker(shape, x, y, colour):
    if shape == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>'
    corners = {"square": [(-4, -4), (4, -4), (4, 4), (-4, 4)],
               "diamond": [(0, -5), (5, 0), (0, 5), (-5, 0)],
               "triangle": [(0, -5), (5, 4), (-5, 4)]}[shape]
    points = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in corners)
    return f'<polygon points="{points}" fill="{colour}"/>'


def text(x, y, words, anchor="middle", size=13, more=""):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
            f'fill="#222222"{more}>{words}</text>')


def spread(wanted, gap, low, high):
    """Places near the wanted ones, at least `gap` apart, between `low` and `high`."""
    order = sorted(range(len(wanted)), key=lambda at: wanted[at])
    places = [0.0] * len(wanted)
    last = low - gap
    for at in order:
        last = places[at] = max(wanted[at], last + gap)
    limit = high
    for at in reversed(order):
        places[at] = min(places[at], limit)
        limit = places[at] - gap
    return places


def draw(found, load):
    curves = {}
    for selector in in_order({key[1] for key in found}):
        curve = sorted((key[2], value) for key, value in found.items()
                       if key[0] == load and key[1] == selector and key[3] == 1)
        if curve:
            curves[selector] = curve
    values = [value for curve in curves.values() for _, value in curve]
    counts = sorted({paths for curve in curves.values() for paths, _ in curve})
    low = 10 ** math.floor(math.log10(min(values)))
    high = 10 ** math.ceil(math.log10(max(values)))
    across = math.log(counts[-1] / counts[0])

    def x_of(paths):
        return LEFT + (RIGHT - LEFT) * math.log(paths / counts[0]) / across

    def y_of(value):
        return BOTTOM - (BOTTOM - TOP) * math.log(value / low) / math.log(high / low)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
             f'width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
             text(LEFT, 28, "Cost of one I/O in a map's brain", "start", 17),
             text(LEFT, 47, f"route() + completed(), one group, {LOADS[load]}; both axes are "
                            "logarithmic", "start", 12)]
    for paths in counts:
        x = x_of(paths)
        parts.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{BOTTOM}" '
                     'stroke="#dddddd"/>')
        parts.append(text(x, BOTTOM + 20, str(paths)))
    value = low
    while value <= high:
        for factor in range(1, 10):
            if value * factor > high:
                break
            y, strong = y_of(value * factor), factor == 1
            parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{RIGHT}" y2="{y:.1f}" '
                         f'stroke="{"#bbbbbb" if strong else "#eeeeee"}"/>')
            if factor in (1, 2, 5):
                parts.append(text(LEFT - 8, y + 4, f"{value * factor:g}", "end"))
        value *= 10
    parts.append(f'<rect x="{LEFT}" y="{TOP}" width="{RIGHT - LEFT}" height="{BOTTOM - TOP}" '
                 'fill="none" stroke="#222222"/>')
    parts.append(text((LEFT + RIGHT) / 2, BOTTOM + 46, "paths in the group", size=14))
    middle = (TOP + BOTTOM) / 2
    parts.append(text(24, middle, "nanoseconds per I/O (median)", size=14,
                      more=f' transform="rotate(-90 24 {middle:.1f})"'))
    ends = {selector: y_of(curve[-1][1]) for selector, curve in curves.items()}
    labels = dict(zip(ends, spread(list(ends.values()), 19, TOP + 8, BOTTOM - 4)))
    for selector, curve in curves.items():
        colour, dashes, shape = STYLES.get(selector, ("#888888", "", "circle"))
        points = " ".join(f"{x_of(paths):.1f},{y_of(value):.1f}" for paths, value in curve)
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" '
                     f'stroke-width="2"{dashed}/>')
        parts += [marker(shape, x_of(paths), y_of(value), colour) for paths, value in curve]
        y = labels[selector]
        parts.append(f'<line x1="{RIGHT + 4}" y1="{ends[selector]:.1f}" x2="{RIGHT + 22}" '
                     f'y2="{y:.1f}" stroke="{colour}"/>')
        parts.append(marker(shape, RIGHT + 30, y, colour))
        parts.append(text(RIGHT + 40, y + 4, selector, "start"))
    return "\n".join(parts + ["</svg>"]) + "\n"


def options_of():
    parser = argparse.ArgumentParser(prog="./dev bench brain", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9, help="runs of each (default 9)")
    parser.add_argument("--seconds", type=float, default=0.05,
                        help="length of one run at least (default 0.05)")
    parser.add_argument("--filter", default=".", help="only benchmarks that match this expression")
    parser.add_argument("--drawn", default="busy", choices=LOADS, help="the load that is drawn")
    parser.add_argument("--svg", default=os.path.join(ROOT, "docs", "brain-cost.svg"),
                        help="where to draw (default docs/brain-cost.svg); empty: nowhere")
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "release"))
    return parser.parse_args()


def main():
    options = options_of()
    found = run(options)
    if not found:
        sys.exit(f"no benchmark matches '{options.filter}'")
    report(found, options)
    if options.svg and any(key[0] == options.drawn and key[3] == 1 for key in found):
        with open(options.svg, "w") as file:
            file.write(draw(found, options.drawn))


if __name__ == "__main__":
    main()
