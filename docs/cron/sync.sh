#!/bin/sh
# Runs one sync of Klaviyo into a target, for cron. Put it into the folder with config.json,
# catalog.json and target.json. It continues from the state that the target printed last.
umask 077
cd "$(dirname "$0")" || exit
PATH=$HOME/.venvs/tap-klaviyo/bin:$HOME/.venvs/target-jsonl/bin:$PATH

# One run at a time: the lock lasts until the last program that this script started has ended.
exec 9> lock || exit
flock -n 9 || { echo "The previous sync is still running." >&2; exit 1; }

# A log of more than 1 MB becomes the old log, which replaces the one before.
for log in tap.log target.log; do
    if [ -f "$log" ] && [ "$(wc -c < "$log")" -gt 1000000 ]; then mv "$log" "$log.old" || exit; fi
done

# The last whole state in states.jsonl becomes state.json, and states.jsonl is emptied. What a kill
# or a full disk left there does not matter: empty lines, a torn state, or states in one line.
python3 - << 'END' || exit
import json, os, re, sys

decode = json.JSONDecoder().raw_decode

def last_state(path):
    text = open(path, encoding="utf-8", errors="replace").read() if os.path.exists(path) else ""
    return next(filter(None, map(last_in_line, reversed(text.split("\n")))), None)

def last_in_line(line):
    found, end = None, 0
    while start := re.compile(r'\{\s*"').search(line, end):
        begin, after = start.start(), end
        try:
            value, end = decode(line, begin)
        except ValueError:  # Torn: the next state starts with its bookmarks.
            following = re.compile(r'\{\s*"bookmarks"').search(line, begin + 1)
            if not following:
                break
            end = following.start()
        else:  # The rest of a torn state holds objects, too, but no bookmarks.
            whole = begin == after and line[end:].strip()[:1] in ("", "{")
            found = value if whole or "bookmarks" in value else found
    return found

try:
    state = last_state("states.jsonl") or last_state("state.json") or {}
    with open("state.json.new", "w") as file:
        json.dump(state, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace("state.json.new", "state.json")
    open("states.jsonl", "w").close()
except OSError as error:
    sys.exit(f"The state cannot be saved: {error}")
END

# The exit codes of both programs, through file 3.
codes=$({
    { tap-klaviyo -c config.json --catalog catalog.json -s state.json 2>> tap.log; echo $? >&3; } |
        target-jsonl -c target.json >> states.jsonl 2>> target.log 3>&-
    echo $? >&3
} 3>&1)
tap=${codes%%[!0-9]*} target=${codes##*[!0-9]}

# cron mails what is printed. If the target fails, the tap fails too, since it cannot write.
[ "$tap" = 0 ] || echo "tap-klaviyo: exit code $tap: $(tail -n 1 tap.log)"
[ "$target" = 0 ] || echo "target-jsonl: exit code $target: $(tail -n 1 target.log)"
[ "$target" = 0 ] || exit "$target"
exit "$tap"
