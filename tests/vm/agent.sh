#!/bin/sh
# Runs what comes over the second serial port, one script at a time.
# In: `NUMBER SCRIPT`, each byte as \0ooo; out: `NUMBER EXITCODE OUTPUT`, in hexadecimal digits.
exec </dev/ttyS1 >/dev/ttyS1
stty raw -echo
echo up
while read -r number script; do
    printf '%b' "$script" >/run/agent.script
    code=0
    sh -e /run/agent.script >/run/agent.out 2>&1 </dev/null || code=$?
    echo "$number $code $(od -An -v -tx1 /run/agent.out | tr -d ' \n')"
done
