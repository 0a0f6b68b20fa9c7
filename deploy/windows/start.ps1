# Starts Pincel from PowerShell; options go to launch.py. -Forever starts it again after an end that a restart may mend.
#   powershell -ExecutionPolicy Bypass -File deploy\windows\start.ps1 -Forever
param([switch]$Forever, [Parameter(ValueFromRemainingArguments = $true)][string[]]$Options)

$ErrorActionPreference = 'Stop'
Set-Location (Join-Path $PSScriptRoot '..\..')
if (Get-Command py -ErrorAction SilentlyContinue) { $python = 'py'; $first = @('-3') }
elseif (Get-Command python -ErrorAction SilentlyContinue) { $python = 'python'; $first = @() }
else {
    Write-Host 'Python is missing. Install Python 3.11 or newer from python.org and tick "Add python.exe to PATH".'
    exit 1
}

# Ended as asked, or by what a restart cannot mend: docs\operators.md lists the codes.
$final = @(0, 2, 70, 71, 72, 73, 74, 75, 78, 130)
do {
    & $python @first launch.py @Options
    $code = $LASTEXITCODE
    if ($Forever -and $final -notcontains $code) {
        Write-Host "Pincel ended with exit code $code; it is started again in ten seconds."
        Start-Sleep -Seconds 10
    }
} while ($Forever -and $final -notcontains $code)
exit $code
