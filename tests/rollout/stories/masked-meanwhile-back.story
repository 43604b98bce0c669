# The same on the way back: what was never touched needs no way back.
before 3
wanted 3
old 0-2
restore yes
1 seen 3 starting
2 done 3
3 done 0
3 refused 1
4 restored
5 done 0
6 seen 3 dead
6 done 3
