# Ctrl-C in the middle: what is under way is awaited, the extra instance removed, and nothing else begun.
before 3
wanted 3
old 0-2
0.5s done 3
0.7s interrupt
1.2s done 0
1.5s done 3
