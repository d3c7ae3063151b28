-- Deletes all sessions, all registrations of applications, and the records of removed sessions and answered calls.
IF OBJECT_ID(N'dbo.ASPStateTempSessions', N'U') IS NOT NULL DROP TABLE dbo.ASPStateTempSessions
GO
IF OBJECT_ID(N'dbo.ASPStateTempApplications', N'U') IS NOT NULL DROP TABLE dbo.ASPStateTempApplications
GO
IF OBJECT_ID(N'dbo.MirrorStateTombstones', N'U') IS NOT NULL DELETE FROM dbo.MirrorStateTombstones
GO
IF OBJECT_ID(N'dbo.MirrorStateSettled', N'U') IS NOT NULL DELETE FROM dbo.MirrorStateSettled
GO
