package storetest

// wholeTests are of what a whole engine has beside messages and KeyPackages.
var wholeTests = []test{
	{"life of a group", testGroupLife},
	{"group posts refused", testPostRefused},
	{"group cursors", testCursors},
	{"group list of queues", testSharedQueues},
	{"group commit race", testCommitRace},
	{"group commit whole", testCommitWhole},
	{"group commits refused", testCommitRefused},
	{"group members come and go", testRemoved},
	{"group arguments", testGroupArguments},
	{"expiry", testExpiry},
	{"expiry and numbers", testNumbersOnce},
	{"record race", testRecordRace},
	{"record versions", testRecordVersions},
	{"record list", testRecordList},
	{"record arguments", testRecordArguments},
	{"blob resume", testBlobResume},
	{"blob refused", testBlobRefused},
	{"blob held", testBlobHeld},
	{"drop queue", testDropQueue},
	{"drop group", testDropGroup},
	{"snapshot", testSnapshot},
	{"snapshot while busy", testSnapshotBusy},
	{"wake-ups", testWakeUps},
	{"group large posts", testLargePosts},
}
