"""The committed tables of a suite: what is expected to pass, what is known to fail and why, what a genuine server does."""

from suite_lib.suites import ROOT, UNCERTAIN, CannotRun, all_files

# In the table of known failures: blocks of a file that end early; and every failure of a file that has no line of its own.
ABORTED = "(aborted)"
EVERY_OTHER = "(every other)"


def read_table(path, columns):
    """The rows of a tab-separated table, without its comments."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    for row in rows:
        if len(row) != columns:
            raise CannotRun(f"{path.name}: {columns} fields expected in: {row}")
    return rows


def write_table(path, comment, rows):
    text = "".join(f"# {line}\n" for line in comment) + "".join("\t".join(row) + "\n" for row in rows)
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")


def replace_rows(path, columns, new_rows, files):
    """The table's rows with those of `files` replaced, files in the order of the groups."""
    rows = [row for row in read_table(path, columns) if row[0] not in files] + new_rows
    order = {file: place for place, file in enumerate(all_files())}
    return sorted(rows, key=lambda row: order.get(row[0], len(order)))


def is_certain(file, name):
    """Whether a test is run however slow the machine is."""
    return file not in UNCERTAIN or not UNCERTAIN[file].search(name)


def update_expected(suite, results):
    """Writes down what passes, and takes it out of the known failures."""
    files = {result.file for result in results}
    new_rows = [[result.file, name] for result in results for name in result.passed if is_certain(result.file, name)]
    rows = replace_rows(suite.expected, 2, new_rows, files)
    write_table(suite.expected, [f"Tests of {suite.title}'s own suite that pass: file, test.",
                                 "Written by scripts/redis-suite --update; held to by scripts/redis-suite --check."],
                rows)
    print(f"{suite.expected.relative_to(ROOT)}: {len(new_rows)} tests of {len(results)} files written")
    passed = {(result.file, name) for result in results for name in result.passed}
    rows = [row for row in read_table(suite.known, 3) if (row[0], row[1]) not in passed]
    write_known(suite, rows)


def write_known(suite, rows):
    order = {file: place for place, file in enumerate(all_files())}
    write_table(suite.known, [f"Tests of {suite.title}'s own suite that do not pass: file, test, reason. {ABORTED} stands for",
                              f"blocks that end early, {EVERY_OTHER} for all failures of the file without a line of their own.",
                              "Written by hand; scripts/redis-suite --check fails when a test is in neither table."],
                sorted(rows, key=lambda row: order.get(row[0], len(order))))


def record_reference(suite, results):
    new_rows = []
    for result in results:
        new_rows += [[result.file, "passed", name] for name in result.passed]
        new_rows += [[result.file, "failed", name] for name in result.failed]
        new_rows += [[result.file, "aborted", " ".join(reason.split())[:200]] for reason in result.aborted]
    rows = replace_rows(suite.genuine, 3, new_rows, {result.file for result in results})
    write_table(suite.genuine, [
        f"What a genuine {suite.product}-server {suite.upstream} does in the same set-up: file, outcome, test.",
        "A failure here comes from the machine that it ran on, not from the server.",
        f"Written by scripts/redis-suite --binary {suite.product}-server --record-reference."], rows)
    print(f"{suite.genuine.relative_to(ROOT)}: {len(new_rows)} tests of {len(results)} files written")


def by_file(rows):
    table = {}
    for row in rows:
        table.setdefault(row[0], []).append(row[-1])
    return table


class KnownFailures:
    """The reasons of the failures that are known."""

    def __init__(self, suite):
        self.reasons = {(row[0], row[1]): row[2] for row in read_table(suite.known, 3)}

    def reason(self, file, test):
        return self.reasons.get((file, test)) or self.reasons.get((file, EVERY_OTHER))

    def lines_of(self, file):
        """The tests of a file that have a line of their own."""
        return [test for name, test in self.reasons if name == file and test not in (ABORTED, EVERY_OTHER)]
