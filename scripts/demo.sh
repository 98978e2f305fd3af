#!/bin/sh
# The main job, from end to end, in a directory of its own that is removed afterwards: a daemon on a free UDP port of the loopback interface, two
# members that meet in one process, and then the same by hand, in separate processes, with the daemon killed with -9 in between.
set -eu
bin=${BIN:-bin}
dir=$(mktemp -d)
daemon=
trap 'status=$?; [ -z "$daemon" ] || kill -9 "$daemon" 2>/dev/null || :; wait 2>/dev/null || :; rm -rf "$dir"; exit $status' EXIT
trap 'exit 130' INT TERM

say() { printf '\n== %s\n' "$*"; }

# start_daemon ADDR: starts it, and waits until it says that it listens; sets addr.
start_daemon() {
	rm -f "$dir/log"; mkfifo "$dir/log"
	"$bin/quicnprotochatd" --listen "$1" --data-dir "$dir/data" 2>"$dir/log" &
	daemon=$!
	exec 3<"$dir/log"
	while read -r line <&3; do
		case $line in
		*msg=listening*)
			addr=${line##*addr=}; addr=${addr%% *}
			cat <&3 >>"$dir/daemon.log" &
			exec 3<&-
			return
			;;
		*) echo "$line" >&2 ;;
		esac
	done
	echo "the daemon did not start" >&2
	exit 1
}

qnp() { who=$1; shift; "$bin/quicnprotochat" --state "$dir/$who" "$@"; }

start_daemon 127.0.0.1:0
say "daemon $daemon serves on udp $addr"
if command -v ss >/dev/null; then
	ss -Hlunp | grep "pid=$daemon," || { echo "no UDP socket found" >&2; exit 1; }
	[ "$(ss -Hlunp | grep -c "pid=$daemon,")" = 1 ]
	! ss -Hltnp | grep "pid=$daemon," || { echo "the daemon has a TCP socket" >&2; exit 1; }
	echo "one UDP socket, no TCP socket"
fi

say "two members in one process"
"$bin/quicnprotochat" demo-group --server "$addr"

say "by hand, each step a process"
alice=$(qnp alice init --server "$addr"); echo "alice is $alice"
bob=$(qnp bob init --server "$addr"); echo "bob is $bob"
qnp alice register
qnp bob register
group=$(qnp alice create-group friends); echo "group $group"
qnp alice invite friends "$bob"
qnp bob join --name friends
qnp alice send friends "hello bob"
qnp bob recv
qnp bob send friends "hello alice"
qnp alice recv

say "three messages for bob, who is away; the daemon is killed with -9 and started again"
for i in 1 2 3; do qnp alice send friends "you were away: $i"; done
kill -9 "$daemon"; wait "$daemon" 2>/dev/null || :
start_daemon "$addr"
qnp bob recv >"$dir/received"
cat "$dir/received"
[ "$(wc -l <"$dir/received")" = 3 ]
qnp bob send friends "nothing was lost"
qnp alice recv
qnp bob ping

say "TERM ends the daemon"
kill -TERM "$daemon"
wait "$daemon"
daemon=
echo "demo passed"
