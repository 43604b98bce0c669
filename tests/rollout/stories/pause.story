# on_failure = "pause": the instance that failed stays for somebody to look at, and the extra one serves in its place.
before 2
wanted 2
old 0-1
on_failure pause
0.5s done 2
1.0s failed 0
