#!/bin/bash
# gate BUILDER - syncpkg-shell, but for a point at which it stops once, until it is let go on.
# The point is one line in armed: a kind of request, and after how many of its bytes.
set -f
at=/srv/point builder=$1
case $SSH_ORIGINAL_COMMAND in
syncpkg-claim*) kind=claim ;;
syncpkg-beat*--watch*) kind=watch ;;
syncpkg-beat*) kind=beat ;;
syncpkg-report*) kind=report ;;
rsync*) kind=upload ;;
*) kind=other ;;
esac

stop() {
	mv "$at/armed" "$at/mine" 2>/dev/null || return 0
	# What sshd runs is a shell that runs this.
	read -r _ _ _ process _ <"/proc/$PPID/stat"
	echo "$builder $process" >"$at/.reached"
	mv "$at/.reached" "$at/reached"
	until [ -e "$at/go" ]; do sleep 0.02; done
}

read -r wanted bytes 2>/dev/null <"$at/armed"
[ "$wanted" = "$kind" ] || exec syncpkg-shell "$builder"
if [ $kind = upload ]; then
	syncpkg-shell "$builder" < <(stdbuf -o0 head -c "$bytes"; stop; exec cat)
	status=$?
	# It would wait for the builder, and he for us.
	kill $!
	exit $status
fi
# Answered, but nobody has heard it yet.
answer=$(mktemp)
syncpkg-shell "$builder" >"$answer"
status=$?
[ $status -ne 0 ] || stop
cat "$answer"
exit $status
