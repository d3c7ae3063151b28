-- Procedures of the pair: the epoch, the fleet's secret, application ids.

IF OBJECT_ID(N'dbo.MirrorState_TakeEpoch_1', N'P') IS NOT NULL DROP PROCEDURE dbo.MirrorState_TakeEpoch_1
GO
-- Claims the next epoch for @server, unless @server has the current one. Returns the row in both cases.
CREATE PROCEDURE dbo.MirrorState_TakeEpoch_1
    @server nvarchar(256)
AS
    SET NOCOUNT ON
    UPDATE dbo.MirrorStateEpoch SET Epoch = Epoch + 1, [Server] = @server WHERE Id = 1 AND [Server] <> @server
    SELECT Epoch, [Server] FROM dbo.MirrorStateEpoch WHERE Id = 1
    RETURN 0
GO

IF OBJECT_ID(N'dbo.MirrorState_RaiseEpoch_1', N'P') IS NOT NULL DROP PROCEDURE dbo.MirrorState_RaiseEpoch_1
GO
-- Claims an epoch above both the current one and @above for @server, whichever server has the current one: the operator
-- overrides another claim. Returns the row.
CREATE PROCEDURE dbo.MirrorState_RaiseEpoch_1
    @server nvarchar(256),
    @above  bigint
AS
    SET NOCOUNT ON
    UPDATE dbo.MirrorStateEpoch SET Epoch = CASE WHEN Epoch > @above THEN Epoch ELSE @above END + 1, [Server] = @server WHERE Id = 1
    SELECT Epoch, [Server] FROM dbo.MirrorStateEpoch WHERE Id = 1
    RETURN 0
GO

IF OBJECT_ID(N'dbo.MirrorState_FleetSecret_1', N'P') IS NOT NULL DROP PROCEDURE dbo.MirrorState_FleetSecret_1
GO
-- Returns the fleet's secret. The @proposal of the first caller becomes the secret.
CREATE PROCEDURE dbo.MirrorState_FleetSecret_1
    @epoch    bigint,
    @proposal binary(32)
AS
    SET NOCOUNT ON
    UPDATE dbo.MirrorStateEpoch SET FleetSecret = @proposal WHERE Id = 1 AND Epoch = @epoch AND FleetSecret IS NULL
    SELECT CASE WHEN Epoch = @epoch THEN 0 ELSE 6 END AS Result, FleetSecret FROM dbo.MirrorStateEpoch WHERE Id = 1
    RETURN 0
GO

IF OBJECT_ID(N'dbo.MirrorState_GetAppId_1', N'P') IS NOT NULL DROP PROCEDURE dbo.MirrorState_GetAppId_1
GO
-- Returns the application's id; NULL if it has none and @register is 0.
CREATE PROCEDURE dbo.MirrorState_GetAppId_1
    @appName  varchar(280),
    @epoch    bigint,
    @register bit
AS
    SET NOCOUNT ON
    DECLARE @appId int
    IF NOT EXISTS (SELECT Id FROM dbo.MirrorStateEpoch WHERE Id = 1 AND Epoch = @epoch)
    BEGIN
        SELECT 6 AS Result, @appId AS AppId
        RETURN 0
    END
    IF @register = 1
        EXECUTE dbo.TempGetAppID @appName, @appId OUTPUT
    ELSE
        SELECT @appId = AppId FROM dbo.ASPStateTempApplications WHERE AppName = LOWER(@appName)
    SELECT 0 AS Result, @appId AS AppId
    RETURN 0
GO
