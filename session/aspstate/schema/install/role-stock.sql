-- The least rights of a proxy: EXECUTE on the procedures that it calls, SELECT on the tables that it queries (for the
-- principal, and mirrorstate session list), and DELETE for sweeping a stock ASPState in batches. All other access to
-- tables is through the procedures, which have the same owner.
IF DATABASE_PRINCIPAL_ID(N'mirrorstate_proxy') IS NULL CREATE ROLE mirrorstate_proxy
GO
GRANT SELECT ON dbo.ASPStateTempSessions TO mirrorstate_proxy
GRANT DELETE ON dbo.ASPStateTempSessions TO mirrorstate_proxy
GRANT SELECT ON dbo.ASPStateTempApplications TO mirrorstate_proxy
GRANT EXECUTE ON dbo.GetMajorVersion TO mirrorstate_proxy
GRANT EXECUTE ON dbo.TempGetVersion TO mirrorstate_proxy
GRANT EXECUTE ON dbo.GetHashCode TO mirrorstate_proxy
GRANT EXECUTE ON dbo.TempGetAppID TO mirrorstate_proxy
GRANT EXECUTE ON dbo.DeleteExpiredSessions TO mirrorstate_proxy
GRANT EXECUTE ON dbo.TempGetStateItem TO mirrorstate_proxy
GRANT EXECUTE ON dbo.TempGetStateItem2 TO mirrorstate_proxy
GRANT EXECUTE ON dbo.TempGetStateItem3 TO mirrorstate_proxy
GRANT EXECUTE ON dbo.TempGetStateItemExclusive TO mirrorstate_proxy
GRANT EXECUTE ON dbo.TempGetStateItemExclusive2 TO mirrorstate_proxy
GRANT EXECUTE ON dbo.TempGetStateItemExclusive3 TO mirrorstate_proxy
GRANT EXECUTE ON dbo.TempInsertUninitializedItem TO mirrorstate_proxy
GRANT EXECUTE ON dbo.TempInsertStateItemShort TO mirrorstate_proxy
GRANT EXECUTE ON dbo.TempInsertStateItemLong TO mirrorstate_proxy
GRANT EXECUTE ON dbo.TempUpdateStateItemShort TO mirrorstate_proxy
GRANT EXECUTE ON dbo.TempUpdateStateItemShortNullLong TO mirrorstate_proxy
GRANT EXECUTE ON dbo.TempUpdateStateItemLong TO mirrorstate_proxy
GRANT EXECUTE ON dbo.TempUpdateStateItemLongNullShort TO mirrorstate_proxy
GRANT EXECUTE ON dbo.TempReleaseStateItemExclusive TO mirrorstate_proxy
GRANT EXECUTE ON dbo.TempRemoveStateItem TO mirrorstate_proxy
GRANT EXECUTE ON dbo.TempResetTimeout TO mirrorstate_proxy
