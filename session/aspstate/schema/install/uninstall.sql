-- Removes the extension and nothing that .NET uses: no stock table, column or procedure, no session, no application. The
-- role mirrorstate_proxy stays, with its rights on the stock objects.
-- The epoch is removed first: without it every proxy uses the schema as a stock one.
IF OBJECT_ID(N'dbo.MirrorStateEpoch', N'U') IS NOT NULL DROP TABLE dbo.MirrorStateEpoch
GO
IF OBJECT_ID(N'dbo.MirrorState_TakeEpoch_1', N'P') IS NOT NULL DROP PROCEDURE dbo.MirrorState_TakeEpoch_1
GO
IF OBJECT_ID(N'dbo.MirrorState_RaiseEpoch_1', N'P') IS NOT NULL DROP PROCEDURE dbo.MirrorState_RaiseEpoch_1
GO
IF OBJECT_ID(N'dbo.MirrorState_FleetSecret_1', N'P') IS NOT NULL DROP PROCEDURE dbo.MirrorState_FleetSecret_1
GO
IF OBJECT_ID(N'dbo.MirrorState_GetAppId_1', N'P') IS NOT NULL DROP PROCEDURE dbo.MirrorState_GetAppId_1
GO
IF OBJECT_ID(N'dbo.MirrorState_Get_1', N'P') IS NOT NULL DROP PROCEDURE dbo.MirrorState_Get_1
GO
IF OBJECT_ID(N'dbo.MirrorState_Touch_1', N'P') IS NOT NULL DROP PROCEDURE dbo.MirrorState_Touch_1
GO
IF OBJECT_ID(N'dbo.MirrorState_Enter_1', N'P') IS NOT NULL DROP PROCEDURE dbo.MirrorState_Enter_1
GO
IF OBJECT_ID(N'dbo.MirrorState_Settle_1', N'P') IS NOT NULL DROP PROCEDURE dbo.MirrorState_Settle_1
GO
IF OBJECT_ID(N'dbo.MirrorState_Acquire_1', N'P') IS NOT NULL DROP PROCEDURE dbo.MirrorState_Acquire_1
GO
IF OBJECT_ID(N'dbo.MirrorState_Update_1', N'P') IS NOT NULL DROP PROCEDURE dbo.MirrorState_Update_1
GO
IF OBJECT_ID(N'dbo.MirrorState_Release_1', N'P') IS NOT NULL DROP PROCEDURE dbo.MirrorState_Release_1
GO
IF OBJECT_ID(N'dbo.MirrorState_GiveBack_1', N'P') IS NOT NULL DROP PROCEDURE dbo.MirrorState_GiveBack_1
GO
IF OBJECT_ID(N'dbo.MirrorState_Store_1', N'P') IS NOT NULL DROP PROCEDURE dbo.MirrorState_Store_1
GO
IF OBJECT_ID(N'dbo.MirrorState_Remove_1', N'P') IS NOT NULL DROP PROCEDURE dbo.MirrorState_Remove_1
GO
IF OBJECT_ID(N'dbo.MirrorState_Sweep_1', N'P') IS NOT NULL DROP PROCEDURE dbo.MirrorState_Sweep_1
GO
IF OBJECT_ID(N'dbo.MirrorStateTombstones', N'U') IS NOT NULL DROP TABLE dbo.MirrorStateTombstones
GO
IF OBJECT_ID(N'dbo.MirrorStateSettled', N'U') IS NOT NULL DROP TABLE dbo.MirrorStateSettled
GO
IF OBJECT_ID(N'dbo.MirrorStateSweep', N'U') IS NOT NULL DROP TABLE dbo.MirrorStateSweep
GO
