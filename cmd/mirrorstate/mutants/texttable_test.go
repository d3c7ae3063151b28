package mutants

// textMutants break the T-SQL that customers install: each guard of each procedure has one.
var textMutants = []mutant{
	{
		invariant: "I3", name: "grants a lock that somebody holds, in the text",
		file: "session/aspstate/schema/40-extension-sessions.sql", within: "MirrorState_Acquire_1",
		old: `          AND (Locked = 0 OR LockDate <= @abandoned)
`,
		new: ``,
		pkg: "session/aspstate", test: "TestStore_ExtendedText",
	},
	{
		invariant: "I3", name: "abandons every lock at once, in the text",
		file: "session/aspstate/schema/40-extension-sessions.sql", within: "MirrorState_Acquire_1",
		old: "SET @abandoned = DATEADD(second, -@lockTimeout, @now)",
		new: "SET @abandoned = @now",
		pkg: "session/aspstate", test: "TestStore_ExtendedText",
	},
	{
		invariant: "I3", name: "leaves the cookie as it was, in the text",
		file: "session/aspstate/schema/40-extension-sessions.sql", within: "MirrorState_Acquire_1",
		old: "LockCookie = LockCookie + 1,",
		new: "LockCookie = LockCookie,",
		pkg: "session/aspstate", test: "TestStore_ExtendedText",
	},
	{
		invariant: "I3", name: "takes anybody for the holder, in the text",
		file: "session/aspstate/schema/40-extension-sessions.sql", within: "MirrorState_Update_1",
		old: " AND LockOperationId = @lockOp AND LockOperationCookie = @lockCookie",
		new: ``,
		pkg: "session/aspstate", test: "TestStore_ExtendedText",
	},
	{
		invariant: "I3", name: "does not look whether there is a lock, in the text",
		file: "session/aspstate/schema/40-extension-sessions.sql", within: "MirrorState_Update_1",
		old: "          AND Locked = 1 AND",
		new: "          AND",
		pkg: "session/aspstate", test: "TestStore_ExtendedText",
	},
	{
		invariant: "I3", name: "releases whoever asks, in the text",
		file: "session/aspstate/schema/40-extension-sessions.sql", within: "MirrorState_Release_1",
		old: " AND LockOperationId = @lockOp AND LockOperationCookie = @lockCookie",
		new: ``,
		pkg: "session/aspstate", test: "TestStore_ExtendedText",
	},
	{
		invariant: "I3", name: "removes under the holder, in the text",
		file: "session/aspstate/schema/40-extension-sessions.sql", within: "MirrorState_Remove_1",
		old: "(@lockOp IS NULL AND (Locked = 0 OR LockDate <= @abandoned))",
		new: "(@lockOp IS NULL)",
		pkg: "session/aspstate", test: "TestStore_ExtendedText",
	},
	{
		invariant: "I3", name: "stores under the holder, in the text",
		file: "session/aspstate/schema/40-extension-sessions.sql", within: "MirrorState_Store_1",
		old: `          AND (Locked = 0 OR LockDate <= @abandoned)
`,
		new: ``,
		pkg: "session/aspstate", test: "TestStore_ExtendedText",
	},
	{
		invariant: "I3", name: "gives back the lock of another call, in the text",
		file: "session/aspstate/schema/40-extension-sessions.sql", within: "MirrorState_GiveBack_1",
		old: " AND LockCallId = @call",
		new: ``,
		pkg: "session/aspstate", test: "TestStore_ExtendedText",
	},
	{
		invariant: "I4", name: "does not look at the ring when it locks, in the text",
		file: "session/aspstate/schema/40-extension-sessions.sql", within: "MirrorState_Acquire_1",
		old: `          AND @op NOT IN (ISNULL(OperationId1, 0x00), ISNULL(OperationId2, 0x00), ISNULL(OperationId3, 0x00),
                          ISNULL(OperationId4, 0x00), ISNULL(LockOperationId, 0x00))
`,
		new: ``,
		pkg: "session/aspstate", test: "TestStore_ExtendedText",
	},
	{
		invariant: "I4", name: "does not look at the ring when it updates, in the text",
		file: "session/aspstate/schema/40-extension-sessions.sql", within: "MirrorState_Update_1",
		old: `          AND @op NOT IN (ISNULL(OperationId1, 0x00), ISNULL(OperationId2, 0x00), ISNULL(OperationId3, 0x00), ISNULL(OperationId4, 0x00))
`,
		new: ``,
		pkg: "session/aspstate", test: "TestStore_ExtendedText",
	},
	{
		invariant: "I4", name: "does not look at the ring when it stores, in the text",
		file: "session/aspstate/schema/40-extension-sessions.sql", within: "MirrorState_Store_1",
		old: `          AND @op NOT IN (ISNULL(OperationId1, 0x00), ISNULL(OperationId2, 0x00), ISNULL(OperationId3, 0x00), ISNULL(OperationId4, 0x00))
`,
		new: ``,
		pkg: "session/aspstate", test: "TestStore_ExtendedText",
	},
	{
		invariant: "I4", name: "remembers three operations, in the text",
		file: "session/aspstate/schema/40-extension-sessions.sql", within: "MirrorState_Store_1",
		old: "OperationId4 = OperationId3,",
		new: "OperationId4 = NULL,",
		pkg: "session/aspstate", test: "TestStore_ExtendedText",
	},
	{
		invariant: "I4", name: "does not ask what the ring has forgotten, in the text",
		file: "session/aspstate/schema/40-extension-sessions.sql", within: "MirrorState_Update_1",
		old: `          AND (OperationsForgotten IS NULL OR OperationsForgotten < @since)
`,
		new: ``,
		pkg: "session/aspstate", test: "TestStore_ExtendedText",
	},
	{
		invariant: "I4", name: "never goes the careful way when it removes, in the text",
		file: "session/aspstate/schema/40-extension-sessions.sql", within: "MirrorState_Remove_1",
		old: `          AND (@careful = 1 OR (Created < DATEADD(millisecond, -10, @called) AND (Settled IS NULL OR Settled < @called)))
`,
		new: ``,
		pkg: "session/aspstate", test: "TestStore_ExtendedText",
	},
	{
		invariant: "I4", name: "does not look what was answered when it locks, in the text",
		file: "session/aspstate/schema/40-extension-sessions.sql", within: "MirrorState_Acquire_1",
		old: `          AND @answered IS NULL
`,
		new: ``,
		pkg: "session/aspstate", test: "TestStore_ExtendedText",
	},
	{
		invariant: "I4", name: "does not look what was answered when it stores, in the text",
		file: "session/aspstate/schema/40-extension-sessions.sql", within: "MirrorState_Store_1",
		old: `          AND @answered IS NULL
`,
		new: ``,
		pkg: "session/aspstate", test: "TestStore_ExtendedText",
	},
	{
		invariant: "I4", name: "finds nothing that was answered, in the text",
		file: "session/aspstate/schema/40-extension-sessions.sql", within: "MirrorState_Enter_1",
		old: `    WHERE OperationId = @op
`,
		new: `    WHERE OperationId = NULL
`,
		pkg: "session/aspstate", test: "TestStore_ExtendedText",
	},
	{
		invariant: "I4", name: "enters no answer, in the text",
		file: "session/aspstate/schema/40-extension-sessions.sql", within: "MirrorState_Settle_1",
		old: `    IF @@ROWCOUNT = 0
`,
		new: `    IF @@ROWCOUNT = 5
`,
		pkg: "session/aspstate", test: "TestStore_ExtendedText",
	},
	{
		invariant: "I4", name: "does not mark the session as settled, in the text",
		file: "session/aspstate/schema/40-extension-sessions.sql", within: "MirrorState_Settle_1",
		old: `    UPDATE dbo.ASPStateTempSessions WITH (ROWLOCK, UPDLOCK) SET Settled = @clock WHERE SessionId = @id
`,
		new: ``,
		pkg: "session/aspstate", test: "TestStore_ExtendedText",
	},
	{
		invariant: "I5", name: "locks after its time, in the text",
		file: "session/aspstate/schema/40-extension-sessions.sql", within: "MirrorState_Acquire_1",
		old: `          AND @clock <= @notAfter
`,
		new: ``,
		pkg: "partner/embedded", test: "TestTexts",
	},
	{
		invariant: "I5", name: "updates after its time, in the text",
		file: "session/aspstate/schema/40-extension-sessions.sql", within: "MirrorState_Update_1",
		old: `          AND @clock <= @notAfter
`,
		new: ``,
		pkg: "partner/embedded", test: "TestTexts",
	},
	{
		invariant: "I5", name: "stores after its time, in the text",
		file: "session/aspstate/schema/40-extension-sessions.sql", within: "MirrorState_Store_1",
		old: `          AND @clock <= @notAfter
`,
		new: ``,
		pkg: "partner/embedded", test: "TestTexts",
	},
	{
		invariant: "I5", name: "removes after its time, in the text",
		file: "session/aspstate/schema/40-extension-sessions.sql", within: "MirrorState_Remove_1",
		old: `          AND @clock <= @notAfter
`,
		new: ``,
		pkg: "partner/embedded", test: "TestTexts",
	},
	{
		invariant: "I6", name: "locks in another epoch, in the text",
		file: "session/aspstate/schema/40-extension-sessions.sql", within: "MirrorState_Acquire_1",
		old: `          AND EXISTS (SELECT Id FROM dbo.MirrorStateEpoch WITH (HOLDLOCK) WHERE Id = 1 AND Epoch = @epoch)
`,
		new: ``,
		pkg: "partner/embedded", test: "TestTexts",
	},
	{
		invariant: "I6", name: "updates in another epoch, in the text",
		file: "session/aspstate/schema/40-extension-sessions.sql", within: "MirrorState_Update_1",
		old: `          AND EXISTS (SELECT Id FROM dbo.MirrorStateEpoch WITH (HOLDLOCK) WHERE Id = 1 AND Epoch = @epoch)
`,
		new: ``,
		pkg: "partner/embedded", test: "TestTexts",
	},
	{
		invariant: "I6", name: "stores in another epoch, in the text",
		file: "session/aspstate/schema/40-extension-sessions.sql", within: "MirrorState_Store_1",
		old: `          AND EXISTS (SELECT Id FROM dbo.MirrorStateEpoch WITH (HOLDLOCK) WHERE Id = 1 AND Epoch = @epoch)
`,
		new: ``,
		pkg: "partner/embedded", test: "TestTexts",
	},
	{
		invariant: "I6", name: "removes in another epoch, in the text",
		file: "session/aspstate/schema/40-extension-sessions.sql", within: "MirrorState_Remove_1",
		old: `          AND EXISTS (SELECT Id FROM dbo.MirrorStateEpoch WITH (HOLDLOCK) WHERE Id = 1 AND Epoch = @epoch)
`,
		new: ``,
		pkg: "partner/embedded", test: "TestTexts",
	},
	{
		invariant: "I6", name: "touches in another epoch, in the text",
		file: "session/aspstate/schema/40-extension-sessions.sql", within: "MirrorState_Touch_1",
		old: `      AND EXISTS (SELECT Id FROM dbo.MirrorStateEpoch WITH (HOLDLOCK) WHERE Id = 1 AND Epoch = @epoch)
`,
		new: ``,
		pkg: "partner/embedded", test: "TestTexts",
	},
	{
		invariant: "I8", name: "serves what has expired, in the text",
		file: "session/aspstate/schema/40-extension-sessions.sql", within: "MirrorState_Get_1",
		old: `             WHEN s.Expires <= @now THEN 1
`,
		new: ``,
		pkg: "session/aspstate", test: "TestStore_ExtendedText",
	},
	{
		invariant: "I8", name: "locks what has expired, in the text",
		file: "session/aspstate/schema/40-extension-sessions.sql", within: "MirrorState_Acquire_1",
		old: `          AND Expires > @now
`,
		new: ``,
		pkg: "session/aspstate", test: "TestStore_ExtendedText",
	},
}
