"""Pictures into threads: Slack's way for files of applications, in three requests. Implements ports.Pictures."""

from __future__ import annotations

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import RemoteError
from bot.incidents.model import Incident
from bot.paging.attempt import UNREACHABLE
from bot.ports import Posted
from bot.settings import Slack
from bot.slack.errors import call
from bot.slack.text import plain
from bot.slack.web import new_session, web_client


class Uploader:
    def __init__(self, settings: Slack) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None
        self._client: AsyncWebClient | None = None

    async def upload(self, incident: Incident, picture: bytes, thread: Posted) -> Posted:
        """Asks for an address, puts the bytes there, and shares the file in the thread."""
        title = plain(f"{incident.id}: what the alert saw", 200)
        web, session = self._open()
        place = await call(
            "files.getUploadURLExternal",
            web.files_getUploadURLExternal(
                filename=f"{incident.id}.png", length=len(picture), alt_txt=plain(incident.title, 500)
            ),
        )
        address, file = str(place.get("upload_url") or ""), str(place.get("file_id") or "")
        if not address or not file:
            raise RemoteError("files.getUploadURLExternal: the answer names no address", permanent=True)
        await _put(session, address, picture)
        await call(
            "files.completeUploadExternal",
            web.files_completeUploadExternal(
                files=[{"id": file, "title": title}], channel_id=thread.channel, thread_ts=thread.ts
            ),
        )
        return thread

    def _open(self) -> tuple[AsyncWebClient, aiohttp.ClientSession]:
        if self._client is None or self._session is None or self._session.closed:
            self._session = new_session()
            token = self._settings.bot_token.get_secret_value()
            self._client = web_client(token, self._settings.api_url, self._session)
        return self._client, self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
        self._session = self._client = None


async def _put(session: aiohttp.ClientSession, address: str, picture: bytes) -> None:
    """The address is a secret of this one upload, so the token does not go there."""
    try:
        async with session.post(address, data=picture, headers={"Content-Type": "application/octet-stream"}) as answer:
            status = answer.status
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        raise RemoteError("the address for the picture cannot be reached", code=UNREACHABLE) from error
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
        raise RemoteError(f"the picture was not taken: {type(error).__name__}") from error
    if status != 200:
        raise RemoteError(f"the picture was refused with status {status}")
