"""What admins and operators see and do of the running bot: live panels, usage, backups, the wizard, the doctor."""
