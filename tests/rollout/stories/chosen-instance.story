# Only one instance is replaced by hand: the others run something older, and are no proof.
before 3
wanted 3
chosen yes
restore no
old 1
new 0
new 2
min_ready 1s
0.1s done 3
1.1s tick
1.1s seen 3 ready
1.2s done 1
2.2s tick
2.2s seen 1 ready
2.3s done 3
