#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""lockcheck end to end, as a user runs it: what it prints, the files it writes, the exit status, and
that the program does what it did."""

import json
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree

from braidway import Skip, expect, expect_equal, main, need_tools, wait_until
from installed import cached

FOLDER = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.join(FOLDER, "lockcheck_scenes.c")
HARD_SOURCE = os.path.join(FOLDER, "lockcheck_hard.c")
FOUND = 66


def scenes(stage, *flags):
    """The program, built as a user would."""
    need_tools("gcc")
    path = stage.path("scenes")
    stage.run("gcc", "-g", "-O1", "-Wall", "-pthread", *flags, SOURCE, "-o", path)
    return path


def hard(stage):
    """The program that makes its life hard."""
    need_tools("gcc")
    path = stage.path("hard")
    stage.run("gcc", "-g", "-O1", "-Wall", "-pthread", HARD_SOURCE, "-o", path)
    return path


def watch(stage, *words, status=FOUND, program=None, text=None, env=None):
    """Runs words under lockcheck and checks the exit status."""
    done = subprocess.run([program or stage.program, *words], capture_output=True, text=True,
                          timeout=60, cwd=stage.folder, input=text or "", check=False,
                          env=dict(os.environ, **(env or dict())))
    expect_equal(done.returncode, status, f"exit status of lockcheck {' '.join(words)}; "
                                          f"{done.stdout[-400:]}{done.stderr[-1500:]}")
    return done


def documents(path):
    with open(path) as lines:
        return [json.loads(line) for line in lines]


def kinds(document):
    return [finding["kind"] for finding in document["findings"]]


def line_of(mark):
    with open(SOURCE) as lines:
        return next(at for at, line in enumerate(lines, 1) if line.endswith(f"// line of {mark}\n"))


def story_the_report_names_functions_and_lines(stage):
    done = watch(stage, scenes(stage), "inversion")
    for name in ("book", "audit"):
        place = f"lockcheck_scenes.c:{line_of(name)}"
        expect(name in done.stderr and place in done.stderr, f"no {name} at {place}:\n{done.stderr}")
    for lock in ("accounts", "journal"):
        expect(lock in done.stderr, f"no {lock}:\n{done.stderr}")
    expect("1 finding" in done.stderr, f"no last words:\n{done.stderr}")
    expect_equal(done.stdout, "", "standard output")


def story_the_exit_status(stage):
    program = scenes(stage)
    watch(stage, program, "inversion", "7")
    watch(stage, "--exit-status", "9", program, "inversion", "7", status=9)
    watch(stage, "--exit-status", "0", program, "inversion", "7", status=7)
    done = watch(stage, program, "quiet", status=5)
    expect_equal(done.stderr, "lockcheck: nothing found\n", "last words")
    expect_equal(watch(stage, "--quiet", program, "quiet", status=5).stderr, "", "with --quiet")


def story_the_document_of_one_process_is_one_document(stage):
    watch(stage, "--json", "found.json", scenes(stage), "inversion")
    with open(stage.path("found.json")) as text:
        document = json.load(text)
    expect_equal((kinds(document), document["state"]), (["order"], "exited"), "the document")
    functions = [frame.get("function") for chain in document["findings"][0]["chains"]
                 for frame in chain["wants_stack"]]
    expect("book" in functions and "audit" in functions, f"functions: {functions}")


def story_children_append_or_have_files_of_their_own(stage):
    program = scenes(stage)
    watch(stage, "--json", "all.json", program, "family")
    together = documents(stage.path("all.json"))
    watch(stage, "--json", "each-%p.json", program, "family")
    names = [name for name in os.listdir(stage.folder) if name.startswith("each-")]
    apart = [document for name in names for document in documents(stage.path(name))]
    expect_equal(len(names), 4, "files")
    for all_of in (together, apart):
        expect_equal(len(all_of), 4, "documents")
        expect_equal(sorted(len(each["findings"]) for each in all_of), [0, 0, 0, 1], "findings")
        expect(all(each["state"] == "exited" for each in all_of), "all have exited")


def story_the_document_is_whole_after_a_death(stage):
    program = scenes(stage)
    watch(stage, "--json", "killed.json", program, "killed", status=-9)
    expect_equal([kinds(each) for each in documents(stage.path("killed.json"))], [["order"]],
                 "what it said before")
    watch(stage, "--json", "closed.json", program, "closes")
    expect_equal([kinds(each) for each in documents(stage.path("closed.json"))], [["order"]],
                 "after closefrom(0)")


def story_processes_that_drop_their_privileges_have_documents(stage):
    if os.geteuid() != 0:
        raise Skip("only root can drop privileges")
    program = scenes(stage)
    for pattern in ("all.json", "each-%p.json"):
        os.makedirs(stage.path("closed"), exist_ok=True)
        os.chmod(stage.path("closed"), 0o700)
        watch(stage, "--json", f"closed/{pattern}", program, "drops")
        found = [document for name in os.listdir(stage.path("closed"))
                 for document in documents(stage.path(f"closed/{name}"))]
        expect_equal(sorted(len(each["findings"]) for each in found), [0, 0, 1], pattern)
        expect(all(each["state"] == "exited" for each in found), "all have exited")
        for name in os.listdir(stage.path("closed")):
            os.unlink(stage.path(f"closed/{name}"))


def one_document(stage, name):
    found = documents(stage.path(name))
    expect_equal(len(found), 1, f"documents in {name}")
    return found[0]


def story_small_limits_of_the_program_are_not_those_of_the_report(stage):
    program = hard(stage)
    for scene in ("small_files", "few_descriptors"):
        done = watch(stage, "--json", "o.json", program, scene)
        expect("book" in done.stderr and done.stdout == "done\n", f"{scene}: {done.stderr}")
        document = one_document(stage, "o.json")
        expect_equal((kinds(document), document["state"]), (["order"], "exited"), scene)
        watch(stage, "--json", "o.json", program, scene, "clean", status=7)
        document = one_document(stage, "o.json")
        expect_equal((kinds(document), document["state"]), ([], "exited"), f"{scene}, clean")


def story_hard_limits_leave_lines_and_the_document(stage):
    program = hard(stage)
    done = watch(stage, "--json", "o.json", program, "three_descriptors")
    expect("lockcheck: order" in done.stderr, done.stderr)
    document = one_document(stage, "o.json")
    expect_equal((kinds(document), document["state"]), (["order"], "exited"), "three descriptors")
    done = watch(stage, "--json", "o.json", program, "no_files")
    expect("book" in done.stderr and done.stdout == "done\n", done.stderr)
    document = one_document(stage, "o.json")
    expect_equal((kinds(document), document["state"]), (["order"], "exited"), "no files")
    done = watch(stage, "--json", "o.json", program, "no_files", "clean", status=7)
    expect_equal(one_document(stage, "o.json")["state"], "exited", "no files, clean")
    expect_equal(done.stderr, "lockcheck: nothing found\n", "last words")


def story_programs_that_change_their_root_have_documents(stage):
    if os.geteuid() != 0:
        raise Skip("only root can change its root")
    program = hard(stage)
    for scene in ("root", "root_closes"):
        done = watch(stage, "--json", "o.json", program, scene, "jail")
        expect("book" in done.stderr, f"{scene}: {done.stderr}")
        document = one_document(stage, "o.json")
        expect_equal((kinds(document), document["state"]), (["order"], "exited"), scene)
        watch(stage, "--json", "o.json", program, scene, "jail", "clean", status=7)
        expect_equal(one_document(stage, "o.json")["state"], "exited", f"{scene}, clean")
        expect_equal(os.listdir(stage.path("jail")), [], "the new root is empty")


def confined(stage, scene, *words, status=FOUND):
    """What a scene under seccomp says; Skip where there is none."""
    program = hard(stage)
    if subprocess.run([program, scene, "clean"], capture_output=True, timeout=60,
                      check=False).returncode != 7:
        raise Skip("seccomp cannot be used here")
    return watch(stage, "--json", "o.json", program, scene, *words, status=status)


def story_a_filter_that_kills_is_not_met(stage):
    for scene in ("filter", "filter_by_call", "no_programs", "strict"):
        done = confined(stage, scene)
        expect(re.search("^lockcheck: order: .*thread 1 holds", done.stderr, re.M), done.stderr)
        expect_equal(len(re.findall("confines itself by seccomp", done.stderr)), 1, done.stderr)
        document = one_document(stage, "o.json")
        expect_equal((kinds(document), document["state"]), (["order"], "exited"), scene)
        done = confined(stage, scene, "clean", status=7)
        document = one_document(stage, "o.json")
        expect_equal((kinds(document), document["state"]), ([], "exited"), f"{scene}, clean")


def story_what_was_said_before_a_filter_stays(stage):
    done = confined(stage, "found_before")
    expect(re.search("book .*lockcheck_hard.c", done.stderr), done.stderr)
    document = one_document(stage, "o.json")
    expect_equal(kinds(document), ["order", "order"], "findings")
    functions = [frame.get("function") for chain in document["findings"][0]["chains"]
                 for frame in chain["wants_stack"]]
    expect("book" in functions, f"the first one has names: {functions}")
    expect_equal(document["state"], "exited", "state")


def story_a_filter_that_the_kernel_refuses_changes_nothing(stage):
    done = confined(stage, "refused")
    expect("book" in done.stderr and "confines" not in done.stderr, done.stderr)
    expect_equal(kinds(one_document(stage, "o.json")), ["order"], "findings")


def story_the_raw_way_out_has_a_status_too(stage):
    program = hard(stage)
    watch(stage, "--json", "o.json", program, "raw_exit")
    expect_equal(one_document(stage, "o.json")["state"], "exited", "state")
    watch(stage, program, "raw_exit", "clean", status=7)


def story_every_process_has_a_document(stage):
    program = hard(stage)

    def states(*words, status=0):
        watch(stage, "--json", "o.json", program, *words, status=status)
        return sorted((each["process"]["program"] == program, each["state"])
                      for each in documents(stage.path("o.json")))

    expect_equal(states("dies", status=-9), [(True, "running")], "a death")
    expect_equal(states("child_dies"), [(True, "exited"), (True, "running")], "a child's death")
    # Neither the failed exec nor the program before the other one leaves anything.
    expect_equal(states("child_becomes"), [(False, "exited"), (True, "exited")], "an exec")
    expect_equal(states("becomes", program, "dies", status=-9), [(True, "ended"), (True, "running")],
                 "a death after an exec")


def story_workers_that_go_at_once(stage):
    program = hard(stage)
    for scene, count, dying in (("workers", 64, 0), ("workers_by_signal", 16, 8)):
        watch(stage, "--json", "all.json", program, scene, str(count))
        watch(stage, "--json", "each-%p.json", program, scene, str(count))
        names = [name for name in os.listdir(stage.folder) if name.startswith("each-")]
        apart = [document for name in names for document in documents(stage.path(name))]
        for found in (documents(stage.path("all.json")), apart):
            expect_equal(len(found), count + 1, f"documents of {scene}")
            expect_equal(sum(len(each["findings"]) for each in found), 1, f"findings of {scene}")
            expect_equal(sum(each["state"] == "running" for each in found), dying,
                         f"dead workers of {scene}")
        for name in names:
            os.unlink(stage.path(name))


def story_a_program_that_becomes_another(stage):
    done = watch(stage, "--json", "two.json", scenes(stage), "becomes", "/bin/true")
    found = documents(stage.path("two.json"))
    expect_equal([kinds(each) for each in found], [["order"], []], "documents")
    expect_equal(found[0]["process"]["pid"], found[1]["process"]["pid"], "process")
    expect("1 finding" in done.stderr, f"no last words:\n{done.stderr}")


def story_suppressions_change_the_status(stage):
    program = scenes(stage)
    made = watch(stage, "--generate-suppressions", program, "inversion").stderr
    lines = made.splitlines()
    expect("{" in lines and "}" in lines, f"no block:\n{made}")
    stage.write("known.supp", "\n".join(lines[lines.index("{"):lines.index("}") + 1]) + "\n")
    done = watch(stage, "--suppressions", "known.supp", "--json", "s.json", program, "inversion", "7",
                 status=7)
    expect("1 suppressed" in done.stderr, f"no last words:\n{done.stderr}")
    finding = documents(stage.path("s.json"))[0]["findings"][0]
    expect(finding["suppressed_by"], "the document says by what")


def story_suppressions_that_were_of_no_use_are_listed(stage):
    program = scenes(stage)
    stage.write("none.supp", "{\nnobody\n*\nfun:no_such_function\n}\n")
    words = ("--suppressions", "none.supp", "--json", "u.json", program)
    for scene, status in (("quiet", 5), ("inversion", FOUND)):
        done = watch(stage, *words, scene, status=status)
        expect("lockcheck: unused suppression: nobody (" in done.stderr, done.stderr)
        listed = documents(stage.path("u.json"))[0]["unused_suppressions"]
        expect(len(listed) == 1 and listed[0].startswith("nobody ("), f"in the document: {listed}")
    done = watch(stage, "--quiet", *words, "quiet", status=5)
    expect_equal(done.stderr, "", "with --quiet")
    expect(documents(stage.path("u.json"))[0]["unused_suppressions"], "the document has them still")


def story_what_was_held_besides_and_who_allocated(stage):
    done = watch(stage, "--json", "heap.json", scenes(stage), "heap_locks")
    place = f"lockcheck_scenes.c:{line_of('heap_locks')}"
    expect(f"made in heap_locks ({place})" in done.stderr, done.stderr)
    finding = documents(stage.path("heap.json"))[0]["findings"][0]
    held = [[finding["locks"][index]["name"] for index in chain["also_held"]]
            for chain in finding["chains"]]
    expect_equal(sorted(held), [["accounts"], ["journal"]], "also held")
    for lock in finding["locks"][:2]:
        expect_equal(lock["created"]["stack"][0]["function"], "heap_locks", "who allocated it")
    for name in ("accounts", "journal"):
        expect(f"It holds also: {name}" in done.stderr, done.stderr)
    expect(name not in finding["message"], "the sentence is about the ring")


def story_a_wrapper_is_not_the_place(stage):
    done = watch(stage, "--json", "w.json", scenes(stage), "wrapped")
    finding = documents(stage.path("w.json"))[0]["findings"][0]
    for chain, place in zip(finding["chains"], ("audit_wrapped", "book_wrapped"), strict=True):
        for name in ("holds_stack", "wants_stack"):
            functions = [frame["function"] for frame in chain[name][:2]]
            expect_equal(functions, ["take", place], f"{name} of {place}")
            expect_equal(chain[name][0].get("wrapper"), True, f"{name}: take")
    for place in ("book_wrapped", "audit_wrapped"):
        expect(f"takes {'accounts' if place[0] == 'b' else 'journal'} in {place}" in done.stderr,
               done.stderr)


def story_text_comes_though_the_program_marks_its_descriptors(stage):
    done = watch(stage, scenes(stage), "closed_by_exec")
    expect("taken in opposite orders" in done.stderr, done.stderr)
    expect("lockcheck: 1 finding" in done.stderr, done.stderr)


def story_lines_for_github(stage):
    done = watch(stage, "--github", scenes(stage), "inversion")
    expect(re.search(r"^::error file=[^\n]*lockcheck_scenes\.c,line=\d+", done.stderr, re.M),
           f"no annotation:\n{done.stderr}")


def story_a_picture(stage):
    watch(stage, "--picture", "ring.svg", scenes(stage), "inversion")
    text = "".join(xml.etree.ElementTree.parse(stage.path("ring.svg")).getroot().itertext())
    expect("accounts" in text and "journal" in text, f"the picture names the locks: {text}")


def story_a_hang_ends_soon(stage):
    begun = time.monotonic()
    done = watch(stage, "--json", "hang.json", scenes(stage), "hang")
    took = time.monotonic() - begun
    expect(took < 5 + (2 if stage.build.endswith("dev") else 0), f"it took {took:.1f} s")
    expect("hang" in kinds(documents(stage.path("hang.json"))[0]), "a hang")
    expect("first_of_hang" in done.stderr, f"the cycle:\n{done.stderr}")


def story_a_hang_may_be_left_hanging(stage):
    path = stage.path("hanging.txt")
    with open(path, "w") as output:
        process = stage.spawn(stage.program, "--on-hang=report", "--hang-after", "200ms",
                              scenes(stage), "hang", stderr=output)

    def printed():
        with open(path) as text:
            return "first_of_hang" in text.read()

    wait_until(printed, "the cycle is printed")
    time.sleep(0.5)
    expect(process.poll() is None, "it still hangs")
    process.kill()
    process.wait()


def story_what_static_destructors_do_to_held_locks_is_no_finding(stage):
    program = scenes(stage)
    for scene in ("exit_holding", "return_holding"):
        watch(stage, program, scene, status=0)


def story_a_static_program_is_refused(stage):
    done = watch(stage, scenes(stage, "-static"), "inversion", status=2)
    expect("static" in done.stderr, done.stderr)


def story_programs_are_as_they_were(stage):
    done = watch(stage, scenes(stage), "echo", status=0, text="one\ntwo\n")
    expect_equal(done.stdout, "one\ntwo\n", "standard input to standard output")
    stage.write("threads.py", "import threading, sys\nlock = threading.Lock()\ndone = []\n"
                "def work():\n    with lock: done.append(1)\n"
                "threads = [threading.Thread(target=work) for _ in range(8)]\n"
                "[each.start() for each in threads]\n[each.join() for each in threads]\n"
                "print(len(done))\nsys.exit(3)\n")
    done = watch(stage, "--", sys.executable, "threads.py", status=3)
    expect_equal((done.stdout, done.stderr), ("8\n", "lockcheck: nothing found\n"), "python3")


def story_threads_with_the_smallest_stacks(stage):
    watch(stage, scenes(stage), "small_stacks")


def story_settings_of_sanitizers_are_the_programs_own(stage):
    words = "detect_leaks=1:halt_on_error=1:exitcode=99:verbosity=0:strict_init_order=1"
    settings = dict(ASAN_OPTIONS=words, LSAN_OPTIONS=words, TSAN_OPTIONS="exitcode=98")
    done = watch(stage, scenes(stage), "inversion", env=settings)
    expect("book" in done.stderr and "Sanitizer" not in done.stderr, done.stderr)


def story_where_it_is_installed_it_finds_its_library(stage):
    cmake = cached(stage, "CMAKE_COMMAND") or "cmake"
    need_tools(cmake)
    root = stage.path("root")
    os.makedirs(f"{root}/bin")
    # A whole install needs everything built: the two rooms' own scripts do.
    for script in ("src/apps/lockcheck/cmake_install.cmake",
                   "src/apps/lockcheck/preload/cmake_install.cmake"):
        path = os.path.join(stage.build, script)
        if os.path.exists(path):
            stage.run(cmake, f"-DCMAKE_INSTALL_PREFIX={root}", "-P", path)
    watch(stage, scenes(stage), "inversion", program=f"{root}/bin/lockcheck")


if __name__ == "__main__":
    main(__doc__, program="lockcheck")
