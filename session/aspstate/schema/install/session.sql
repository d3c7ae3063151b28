-- What holds for the whole connection. A statement that has to wait for a lock gives up after a second, so
-- that nobody queues behind it: run it again then.
SET NOCOUNT ON
SET XACT_ABORT ON
SET QUOTED_IDENTIFIER ON
SET ANSI_NULLS ON
SET ANSI_PADDING ON
SET LOCK_TIMEOUT 1000
SET DEADLOCK_PRIORITY LOW
