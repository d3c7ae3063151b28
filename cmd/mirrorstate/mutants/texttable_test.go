package mutants

// textMutants break the T-SQL that customers install: each guard of each procedure has one.
var textMutants = []mutant{
	byStore("I3", "MirrorState_Acquire_1", "grants a lock that somebody holds",
		`          AND (Locked = 0 OR LockDate <= @abandoned)
`,
		""),
	byStore("I3", "MirrorState_Acquire_1", "abandons every lock at once",
		"SET @abandoned = DATEADD(second, -@lockTimeout, @now)",
		"SET @abandoned = @now"),
	byStore("I3", "MirrorState_Acquire_1", "leaves the cookie as it was",
		"LockCookie = LockCookie + 1,",
		"LockCookie = LockCookie,"),
	byStore("I3", "MirrorState_Update_1", "takes anybody for the holder",
		" AND LockOperationId = @lockOp AND LockOperationCookie = @lockCookie",
		""),
	byStore("I3", "MirrorState_Update_1", "does not look whether there is a lock",
		"          AND Locked = 1 AND",
		"          AND"),
	byStore("I3", "MirrorState_Release_1", "releases whoever asks",
		" AND LockOperationId = @lockOp AND LockOperationCookie = @lockCookie",
		""),
	byStore("I3", "MirrorState_Remove_1", "removes under the holder",
		"(@lockOp IS NULL AND (Locked = 0 OR LockDate <= @abandoned))",
		"(@lockOp IS NULL)"),
	byStore("I3", "MirrorState_Store_1", "stores under the holder",
		`          AND (Locked = 0 OR LockDate <= @abandoned)
`,
		""),
	byStore("I3", "MirrorState_GiveBack_1", "gives back the lock of another call",
		" AND LockCallId = @call",
		""),
	byStore("I4", "MirrorState_Acquire_1", "does not look at the ring when it locks",
		`          AND @op NOT IN (ISNULL(OperationId1, 0x00), ISNULL(OperationId2, 0x00), ISNULL(OperationId3, 0x00),
                          ISNULL(OperationId4, 0x00), ISNULL(LockOperationId, 0x00))
`,
		""),
	byStore("I4", "MirrorState_Update_1", "does not look at the ring when it updates",
		`          AND @op NOT IN (ISNULL(OperationId1, 0x00), ISNULL(OperationId2, 0x00), ISNULL(OperationId3, 0x00), ISNULL(OperationId4, 0x00))
`,
		""),
	byStore("I4", "MirrorState_Store_1", "does not look at the ring when it stores",
		`          AND @op NOT IN (ISNULL(OperationId1, 0x00), ISNULL(OperationId2, 0x00), ISNULL(OperationId3, 0x00), ISNULL(OperationId4, 0x00))
`,
		""),
	byStore("I4", "MirrorState_Store_1", "remembers three operations",
		"OperationId4 = OperationId3,",
		"OperationId4 = NULL,"),
	byStore("I4", "MirrorState_Update_1", "does not ask what the ring has forgotten",
		`          AND (OperationsForgotten IS NULL OR OperationsForgotten < @since)
`,
		""),
	byStore("I4", "MirrorState_Remove_1", "never goes the careful way when it removes",
		`          AND (@careful = 1 OR (Created < DATEADD(millisecond, -10, @called) AND (Settled IS NULL OR Settled < @called)))
`,
		""),
	byStore("I4", "MirrorState_Acquire_1", "does not look what was answered when it locks",
		`          AND @answered IS NULL
`,
		""),
	byStore("I4", "MirrorState_Store_1", "does not look what was answered when it stores",
		`          AND @answered IS NULL
`,
		""),
	byStore("I4", "MirrorState_Enter_1", "finds nothing that was answered",
		`    WHERE OperationId = @op
`,
		`    WHERE OperationId = NULL
`),
	byStore("I4", "MirrorState_Settle_1", "enters no answer",
		`    IF @@ROWCOUNT = 0
`,
		`    IF @@ROWCOUNT = 5
`),
	byStore("I4", "MirrorState_Settle_1", "does not mark the session as settled",
		`    UPDATE dbo.ASPStateTempSessions WITH (ROWLOCK, UPDLOCK) SET Settled = @clock WHERE SessionId = @id
`,
		""),
	byCall("I4", "MirrorState_Store_1", "stores a second session within one tick",
		`t.Created IN (@waited, @now)`,
		`t.Created = @waited`),
	byCall("I4", "MirrorState_Acquire_1", "makes and locks a second session within one tick",
		`t.Created IN (@waited, @now)`,
		`t.Created = @waited`),
	byCall("I5", "MirrorState_Acquire_1", "locks after its time",
		`          AND @clock <= @notAfter
`,
		""),
	byCall("I5", "MirrorState_Update_1", "updates after its time",
		`          AND @clock <= @notAfter
`,
		""),
	byCall("I5", "MirrorState_Store_1", "stores after its time",
		`          AND @clock <= @notAfter
`,
		""),
	byCall("I5", "MirrorState_Remove_1", "removes after its time",
		`          AND @clock <= @notAfter
`,
		""),
	byCall("I6", "MirrorState_Acquire_1", "locks in another epoch",
		`          AND EXISTS (SELECT Id FROM dbo.MirrorStateEpoch WITH (HOLDLOCK) WHERE Id = 1 AND Epoch = @epoch)
`,
		""),
	byCall("I6", "MirrorState_Update_1", "updates in another epoch",
		`          AND EXISTS (SELECT Id FROM dbo.MirrorStateEpoch WITH (HOLDLOCK) WHERE Id = 1 AND Epoch = @epoch)
`,
		""),
	byCall("I6", "MirrorState_Store_1", "stores in another epoch",
		`          AND EXISTS (SELECT Id FROM dbo.MirrorStateEpoch WITH (HOLDLOCK) WHERE Id = 1 AND Epoch = @epoch)
`,
		""),
	byCall("I6", "MirrorState_Remove_1", "removes in another epoch",
		`          AND EXISTS (SELECT Id FROM dbo.MirrorStateEpoch WITH (HOLDLOCK) WHERE Id = 1 AND Epoch = @epoch)
`,
		""),
	byCall("I6", "MirrorState_Touch_1", "touches in another epoch",
		`      AND EXISTS (SELECT Id FROM dbo.MirrorStateEpoch WITH (HOLDLOCK) WHERE Id = 1 AND Epoch = @epoch)
`,
		""),
	byStore("I8", "MirrorState_Get_1", "serves what has expired",
		`             WHEN s.Expires <= @now THEN 1
`,
		""),
	byStore("I8", "MirrorState_Acquire_1", "locks what has expired",
		`          AND Expires > @now
`,
		""),
}

// byStore is a break of a procedure's text that the store's conformance suite notices.
func byStore(invariant, procedure, name, old, new string) mutant {
	return mutant{
		invariant: invariant, name: name + ", in the text",
		file: "session/aspstate/schema/40-extension-sessions.sql", within: procedure, old: old, new: new,
		pkg: "session/aspstate", test: "TestStore_ExtendedText",
	}
}

// byCall is one that only calls with arguments that no store makes notice.
func byCall(invariant, procedure, name, old, new string) mutant {
	m := byStore(invariant, procedure, name, old, new)
	m.pkg, m.test = "partner/embedded", "TestTexts"
	return m
}
