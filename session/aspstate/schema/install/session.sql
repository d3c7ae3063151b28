-- Settings for the whole connection. A statement that waits for a lock fails after a second, so
-- that no other statement queues behind it: then run it again.
SET NOCOUNT ON
SET XACT_ABORT ON
SET QUOTED_IDENTIFIER ON
SET ANSI_NULLS ON
SET ANSI_PADDING ON
SET LOCK_TIMEOUT 1000
SET DEADLOCK_PRIORITY LOW
