ALTER ROLE mirrorstate_proxy ADD MEMBER {user}
