# Nobody told that the first one died: it is found out when all are asked at the end.
before 2
wanted 2
old 0-1
min_ready 1s
restore no
0.1s done 2
1.1s tick
1.1s seen 2 ready
1.2s done 0
2.2s tick
2.2s seen 0 ready
2.3s done 1
2.3s unready 0
3.3s tick
3.3s seen 1 ready
