ALTER TABLE dbo.ASPStateTempSessions DROP COLUMN
    LockOperationId, LockOperationCookie, LockActionFlags,
    OperationId1, OperationId2, OperationId3, OperationId4,
    OperationDate1, OperationDate2, OperationDate3, OperationDate4, OperationsForgotten,
    LockCallId, Settled, MadeOperationId, TimeoutSeconds, TimeoutDate
